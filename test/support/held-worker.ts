// Workers whose job stays in a state for as long as a test wants: what they wait for is the test's to give.
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { idleInfo, ScriptedService } from "../cache/service/scripted-service.ts";
import type { TemporaryWorker, TemporaryWorkerOptions } from "./temporary-worker.ts";
import { openFolder } from "./worker-host.ts";

/** Something to wait for. */
export interface Gate {
  readonly passed: Promise<void>;
  readonly open: () => void;
  /** It is never passed. */
  readonly shut: () => void;
}

export function gate(): Gate {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  promise.catch(() => {});
  return { passed: promise, open: resolve, shut: () => reject(new Error("the gate is shut")) };
}

export interface HeldAvailability extends AsyncDisposable {
  readonly options: TemporaryWorkerOptions;
  /** From now on a look at the availability takes until the gate is opened. */
  hold(): Gate;
  /** Resolves when a held look is under way. */
  readonly looked: Promise<void>;
}

/** The look goes through a cache service. Statuses at long intervals: they would look, too. */
export async function holdAvailability(): Promise<HeldAvailability> {
  const folder = await openFolder();
  const looked = gate();
  let held: Gate | undefined;
  const service = new ScriptedService({
    "GET /info": async () => {
      if (held) looked.open();
      await held?.passed;
      return Response.json(idleInfo);
    },
  });
  const global = {
    CACHEDIRECTORY: join(folder, "cache"),
    CACHESERVICEURL: service.url,
    STATUS_MIN_INTERVAL: 30,
    STATUS_MAX_INTERVAL: 30,
  };
  return {
    options: { global },
    hold: () => {
      held = gate();
      return held;
    },
    looked: looked.passed,
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  };
}

export interface HeldSetup {
  readonly options: TemporaryWorkerOptions;
  /** The set-up of jobs goes on from now on. */
  release(): Promise<void>;
}

const hookMark = "hold-set-up";

/** Set-ups wait in SYNC_ASSETS_HOOK. */
export async function holdSetup(): Promise<HeldSetup> {
  const file = join(await openFolder(), hookMark);
  await writeFile(file, "");
  const hook = `while [ -e ${file} ]; do sleep 0.02; done`;
  return { options: { global: { SYNC_ASSETS_HOOK: hook } }, release: () => rm(file, { force: true }) };
}

/** Resolves when the hook of `holdSetup` runs; only /proc can tell. */
export async function hookRuns(worker: TemporaryWorker): Promise<void> {
  for (const end = performance.now() + 10_000; performance.now() < end; await Bun.sleep(10))
    if ((await worker.jobProcesses()).some(({ command }) => command.includes(hookMark))) return;
  throw new Error("The hook was not started");
}
