// A worker that is KILLed while the end of a job moves into the spool, or is delivered from there, on the built executable:
// after its next start the web UI holds what it holds of a job that nothing has disturbed.
import { describe, expect, test } from "bun:test";
import { type FSWatcher, watch } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { FakeJob, FaultAction, RecordedRequest } from "../support/fake-web-ui.ts";
import { expectSameHeld } from "../support/job-ends.ts";
import {
  entriesIn,
  eventually,
  letEnd,
  runningJob,
  spooledJob,
  spoolFolder,
  spoolingOptions,
  waits,
} from "../support/spooled-jobs.ts";
import { openHost, startAgain, stopHostsAfterEach, type WorkerHost } from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 120_000;
/** Workers that are tried at a time: most of what they do is wait. */
const atOnce = 4;
const maxSteps = 60;
/** What becomes of the request; undefined: it is answered. */
type Action = FaultAction | undefined;
const smallJob = { FAKE_MODULES: "boot:ok", FAKE_ULOGS: "u.log", FAKE_ASSETS_PRIVATE: "" };

describe("a worker that is KILLed when the web UI has received request number k of a delivery", () => {
  for (const [title, action] of [
    ["which has had no effect", "hang"],
    ["which has had its effect, before the answer", "lose answer"],
    ["and has answered it", undefined],
  ] as const)
    test(
      `${title}: the next start brings it to its end, for every k`,
      async () => {
        const undisturbed = await undisturbedJob();
        let isThrough = false;
        let steps = 0;
        for (let first = 1; !isThrough && first < maxSteps; first += atOnce) {
          const wanted = Array.from({ length: atOnce }, (_, index) => first + index);
          const reached = await Promise.all(wanted.map((step) => killAtStep(step, action, undisturbed)));
          steps += reached.filter(Boolean).length;
          isThrough = !reached.every(Boolean);
        }
        expect(isThrough).toBe(true);
        // Registration, websocket, logs, pieces of an asset, results, picture, thumbnail, text, set_done.
        expect(steps).toBeGreaterThan(12);
      },
      testMs,
    );

  /** Resolves with whether the delivery had so many requests. */
  async function killAtStep(step: number, action: Action, undisturbed: FakeJob): Promise<boolean> {
    const host = await openHost(spoolingOptions);
    const { ui, worker } = host;
    const job = await spooledJob(host, smallJob);
    const received: RecordedRequest[] = [];
    const reached = Promise.withResolvers<RecordedRequest>();
    ui.fault((request) => {
      if (received.push(request) === step) reached.resolve(request);
      return action !== undefined && received.length === step;
    }, action ?? "hang");
    await ui.comeBack();
    const isDelivered = waits(worker, 0).then(
      () => undefined,
      () => undefined,
    );
    const last = await Promise.race([reached.promise, isDelivered]);
    // The answer of an upgrade is the websocket.
    if (last && action === undefined && !last.path.includes("/ws/"))
      await ui.request((request) => request === last && request.answer !== undefined);
    if (last) await endsAfterKill(host, job);
    expectSameHeld(job, undisturbed);
    expectToldOnce(host, job);
    expect(await entriesIn(worker, "refused")).toEqual([]);
    return last !== undefined;
  }
});

describe("a worker that is KILLed while the end of a job moves into the spool", () => {
  const manyFiles = {
    ...smallJob,
    FAKE_ULOGS: Array.from({ length: 40 }, (_, index) => `${index}.log`).join(),
  };

  test(
    "at its first sign of life there, or a little later",
    async () => {
      const undisturbed = await undisturbedJob(manyFiles);
      for (const changes of [1, 2, 4, 8, 16]) {
        const host = await openHost(spoolingOptions);
        const job = await runningJob(host, manyFiles);
        await host.ui.goAway();
        const waiting = join(spoolFolder(host.worker), "waiting");
        await mkdir(waiting, { recursive: true, mode: 0o700 });
        const seen = changesBelow(waiting, changes);
        await letEnd(host.worker);
        await Promise.race([seen.happened, waits(host.worker, 1)]);
        seen.stop();
        await endsAfterKill(host, job);
        expectSameHeld(job, undisturbed);
        expectToldOnce(host, job);
      }
    },
    testMs,
  );

  test(
    "at any time",
    async () => {
      const undisturbed = await undisturbedJob(manyFiles);
      // From isotovideo's end on: some before the move, some after it.
      for (let delayMs = 0; delayMs < 320; delayMs += 45) {
        const host = await openHost(spoolingOptions);
        const job = await runningJob(host, manyFiles);
        await host.ui.goAway();
        await letEnd(host.worker);
        await Bun.sleep(delayMs);
        await endsAfterKill(host, job);
        expectSameHeld(job, undisturbed);
        expectToldOnce(host, job);
      }
    },
    testMs,
  );

  /** Happens when so many names have come, gone or changed in the folder and those in it. */
  function changesBelow(
    folder: string,
    count: number,
  ): { readonly happened: Promise<void>; readonly stop: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const watchers: FSWatcher[] = [];
    let seen = 0;
    const look = (at: string) => {
      const watcher = watch(at, (_, name) => {
        if (at === folder && watchers.length === 1 && name !== null) look(join(at, name));
        if (++seen >= count) resolve();
      });
      watcher.on("error", () => resolve());
      watchers.push(watcher);
    };
    look(folder);
    return {
      happened: promise,
      stop: () => {
        for (const watcher of watchers) watcher.close();
      },
    };
  }
});

async function undisturbedJob(settings: Record<string, string> = smallJob): Promise<FakeJob> {
  const host = await openHost(spoolingOptions);
  const job = await runningJob(host, settings);
  await letEnd(host.worker);
  await host.ui.setDone(job.id);
  return job;
}

async function endsAfterKill({ ui, worker }: WorkerHost, job: FakeJob): Promise<void> {
  worker.kill("SIGKILL");
  await worker.exit();
  await ui.goAway();
  await ui.comeBack();
  const next = startAgain(worker);
  await eventually(`job ${job.id} done`, next, () => job.state === "done", 30_000);
  await waits(next, 0);
  // Many of them would look for their web UIs.
  next.kill("SIGKILL");
  await next.exit();
}

function expectToldOnce({ ui }: WorkerHost, job: FakeJob): void {
  const ends = ui.requestsOf(job.id).filter(({ path }) => path.endsWith("/set_done"));
  expect(ends.filter(({ answer }) => answer !== undefined)).toHaveLength(1);
}
