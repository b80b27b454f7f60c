import { describe, expect, test } from "bun:test";
import { jobTimeLimitMs, setupTimeLimitMs, withDeadline } from "../../src/job/deadlines.ts";
import { JobStop } from "../../src/job/job-stop.ts";
import { sleep } from "../../src/sleep.ts";
import { loadedSettings, recordingContext } from "./job-host.ts";

describe("how long a job may run", () => {
  const rows: readonly (readonly [Record<string, string>, number])[] = [
    [{}, 7_200_000],
    [{ MAX_JOB_TIME: "60" }, 60_000],
    [{ MAX_JOB_TIME: "1.5" }, 1500],
    [{ MAX_JOB_TIME: " 1e3 " }, 1_000_000],
    [{ MAX_JOB_TIME: "60", TIMEOUT_SCALE: "3" }, 180_000],
    [{ TIMEOUT_SCALE: "0.5" }, 3_600_000],
    [{ MAX_JOB_TIME: "60", TIMEOUT_SCALE: "much" }, 60_000],
    [{ MAX_JOB_TIME: "" }, 7_200_000],
    [{ MAX_JOB_TIME: "two hours" }, 7_200_000],
    [{ MAX_JOB_TIME: "0x10" }, 7_200_000],
    [{ MAX_JOB_TIME: "60s" }, 7_200_000],
    [{ MAX_JOB_TIME: "NaN" }, 7_200_000],
    [{ MAX_JOB_TIME: "9".repeat(1e7) }, 7_200_000],
    [{ MAX_JOB_TIME: "0" }, 0],
    [{ MAX_JOB_TIME: "-5" }, 0],
    [{ MAX_JOB_TIME: "Inf" }, Number.POSITIVE_INFINITY],
    [{ MAX_JOB_TIME: "inf", TIMEOUT_SCALE: "0" }, Number.POSITIVE_INFINITY],
  ];
  for (const [settings, expected] of rows)
    test(JSON.stringify(settings).slice(0, 60), () => expect(jobTimeLimitMs(settings)).toBe(expected));
});

test("how long its set-up may take: an hour, or what job and host say, never scaled", async () => {
  const limit = async (settings: Record<string, string>, ini = "") =>
    setupTimeLimitMs({ id: "1", settings, received: {} }, await loadedSettings(`[global]\n${ini}`));
  expect(await limit({})).toBe(3_600_000);
  expect(await limit({ MAX_SETUP_TIME: "60", TIMEOUT_SCALE: "3" })).toBe(60_000);
  expect(await limit({ MAX_SETUP_TIME: "x" })).toBe(3_600_000);
  expect(await limit({ MAX_SETUP_TIME: "60" }, "MAX_SETUP_TIME = 5\n")).toBe(5000);
});

const forever = (signal: AbortSignal) => sleep(60_000, signal);

test("work that takes too long is aborted with the stop reason timeout", async () => {
  const found = withDeadline(10, recordingContext(), ({ signal }) => forever(signal)).catch((error) => error);
  expect(await found).toBeInstanceOf(JobStop);
  expect(await found).toHaveProperty("stopReason", "timeout");
});

test("whatever the work throws once it is stopped, it was stopped for that reason", async () => {
  const failing = ({ signal }: { signal: AbortSignal }) =>
    forever(signal).catch(() => {
      throw new Error("consequence");
    });
  await expect(withDeadline(10, recordingContext(), failing)).rejects.toHaveProperty("stopReason", "timeout");
  const stop = new AbortController();
  const stopped = withDeadline(60_000, recordingContext(stop.signal), failing);
  stop.abort(new JobStop("cancel"));
  await expect(stopped).rejects.toHaveProperty("stopReason", "cancel");
});

test("work that is done in time resolves, an error of its own comes out as it is", async () => {
  expect(await withDeadline(60_000, recordingContext(), async () => 42)).toBe(42);
  const own = new Error("own");
  await expect(withDeadline(60_000, recordingContext(), () => Promise.reject(own))).rejects.toBe(own);
});

test("a limit longer than a timer can wait does not end the work at once", async () => {
  for (const limitMs of [2 ** 31, 1e15, Number.POSITIVE_INFINITY])
    expect(
      await withDeadline(limitMs, recordingContext(), async ({ signal }) => {
        await sleep(30, signal);
        return signal.aborted;
      }),
    ).toBe(false);
});

test("no time at all ends the work", async () => {
  await expect(withDeadline(0, recordingContext(), ({ signal }) => forever(signal))).rejects.toHaveProperty(
    "stopReason",
    "timeout",
  );
});
