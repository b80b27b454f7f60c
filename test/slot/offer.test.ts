import { describe, expect, test } from "bun:test";
import { answerOffer, type OfferAnswer, type OfferFacts } from "../../src/slot/offer.ts";

const idle: OfferFacts = {
  jobIds: ["7"],
  host: "a",
  isClosing: false,
  undelivered: undefined,
  unavailable: undefined,
  current: undefined,
};
const busy: OfferFacts = { ...idle, current: { id: "7", pendingIds: [], host: "a", phase: "running" } };
const busyWithQueue: OfferFacts = {
  ...idle,
  current: { id: "7", pendingIds: ["8", "9"], host: "a", phase: "running" },
};

const cases: readonly (readonly [string, OfferFacts, OfferAnswer])[] = [
  ["an idle slot accepts", idle, { kind: "accept" }],
  ["a stopping slot rejects", { ...idle, isClosing: true }, { kind: "reject", reason: "currently stopping" }],
  [
    "a slot whose job is being ended rejects even that job (field lesson 2)",
    { ...idle, current: { id: "7", pendingIds: [], host: "a", phase: "ending" } },
    { kind: "reject", reason: "currently stopping" },
  ],
  [
    "so is one that has been assigned anew while its end is told",
    { ...idle, current: { id: "7", pendingIds: ["8"], host: "a", phase: "ended" } },
    { kind: "reject", reason: "currently stopping" },
  ],
  [
    "the next job may come as soon as the end of the last one is told",
    { ...idle, current: { id: "6", pendingIds: [], host: "a", phase: "ended" } },
    { kind: "accept" },
  ],
  ["the current job offered again is no news (field lesson 3)", busy, { kind: "ignore" }],
  ["nor are the jobs of a slot that finishes off", { ...busyWithQueue, isClosing: true }, { kind: "ignore" }],
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
  ["directly chained jobs are accepted", { ...idle, jobIds: ["7", "8"] }, { kind: "accept" }],
  [
    "jobs of the queue offered again are no news",
    { ...busyWithQueue, jobIds: ["8", "9"] },
    { kind: "ignore" },
  ],
  [
    "a queue with one more job is rejected, with all that the slot has",
    { ...busyWithQueue, jobIds: ["9", "10"] },
    { kind: "reject", reason: "already busy with job(s) 7, 8, 9" },
  ],
  [
    "a busy slot that is unavailable says why",
    { ...busy, jobIds: ["8"], unavailable: "the load is too high" },
    { kind: "reject", reason: "the load is too high" },
  ],
  ["an idle slot is looked at anew", { ...idle, unavailable: "the load was too high" }, { kind: "accept" }],
  [
    "a host gets no new job done before it has the end of the last one",
    { ...idle, undelivered: "5" },
    { kind: "reject", reason: "results of job 5 still wait for delivery" },
  ],
];

describe("an offer", () => {
  test.each(cases)("%s", (_, facts, answer) => {
    expect(answerOffer(facts)).toEqual(answer);
  });
});
