import { beforeEach, describe, expect, test } from "bun:test";
import { JobStop } from "../src/job/job-stop.ts";
import { silentLog } from "../src/ops/log.ts";
import { StopRequests } from "../src/stop-requests.ts";

let exits = 0;
let stops: StopRequests;
beforeEach(() => {
  exits = 0;
  stops = new StopRequests(20, silentLog, () => exits++);
});

/** Which of the signals are aborted. */
function aborted(): string[] {
  return Object.entries(stops.signals).flatMap(([name, signal]) => (signal.aborted ? [name] : []));
}

describe("requests to stop", () => {
  test("HUP drains, and does so once (field lesson 38)", () => {
    stops.drain();
    stops.drain();
    expect(aborted()).toEqual(["drain"]);
  });

  test("TERM after HUP stops", () => {
    stops.drain();
    stops.stop();
    expect(aborted()).toEqual(["drain", "stop"]);
  });

  test("HUP after TERM changes nothing", () => {
    stops.stop();
    stops.drain();
    expect(aborted()).toEqual(["stop"]);
  });

  test("an internal error ends the jobs as exception; more of them, or one amid a stop, change nothing", () => {
    stops.fault();
    stops.fault();
    expect(aborted()).toEqual(["stop"]);
    expect(stops.signals.stop.reason).toEqual(new JobStop("exception"));
    stops.stop();
    stops.fault();
    expect(aborted()).toEqual(["stop", "kill"]);
    expect(exits).toBe(0);
  });

  test("the second TERM kills, the third ends the worker", () => {
    stops.stop();
    stops.stop();
    expect(aborted()).toEqual(["stop", "kill"]);
    expect(exits).toBe(0);
    stops.stop();
    expect(exits).toBe(1);
  });

  test("nothing is delivered any more when the time to stop is over", async () => {
    const over = Promise.withResolvers<void>();
    stops.signals.giveUp.addEventListener("abort", () => over.resolve());
    stops.stop();
    await over.promise;
    expect(stops.signals.giveUp.reason.message).toBe("the time to stop is over");
    expect(aborted()).toEqual(["stop", "hurry", "giveUp"]);
  });
});
