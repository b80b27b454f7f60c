import { describe, expect, test } from "bun:test";
import { answerOffer, type OfferAnswer, type OfferFacts } from "../../src/slot/offer.ts";

const idle: OfferFacts = { jobIds: ["7"], host: "a", isStopping: false, current: undefined };
const busy = { ...idle, current: { id: "7", host: "a" } };

const cases: readonly (readonly [string, OfferFacts, OfferAnswer])[] = [
  ["an idle slot accepts", idle, { kind: "accept" }],
  [
    "a stopping slot rejects",
    { ...idle, isStopping: true },
    { kind: "reject", reason: "currently stopping" },
  ],
  [
    "a slot whose job is being ended rejects even that job (field lesson 2)",
    { ...busy, isStopping: true },
    { kind: "reject", reason: "currently stopping" },
  ],
  ["the current job offered again is no news (field lesson 3)", busy, { kind: "ignore" }],
  [
    "another job is rejected while one runs",
    { ...busy, jobIds: ["8"] },
    { kind: "reject", reason: "already busy with job(s) 7" },
  ],
  [
    "a job of another host is rejected, even with the same id",
    { ...busy, host: "b" },
    { kind: "reject", reason: "already busy with a job from a" },
  ],
  [
    "directly chained jobs are rejected",
    { ...idle, jobIds: ["7", "8"] },
    { kind: "reject", reason: "this worker does not run directly chained jobs yet" },
  ],
];

describe("an offer", () => {
  test.each(cases)("%s", (_, facts, answer) => {
    expect(answerOffer(facts)).toEqual(answer);
  });
});
