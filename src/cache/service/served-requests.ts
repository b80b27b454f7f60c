// The requests of a cache service that is served: what waits, what runs, what is kept of those that are done. Knows no
// HTTP.
import type { Context } from "../../context.ts";
import { Lanes } from "../../results/lanes.ts";
import { type CacheWork, describe, doWork, type WorkOutcome } from "./do-work.ts";
import { type WantedWork, workKey } from "./enqueue-request.ts";
import { FinishedRuns } from "./finished-runs.ts";
import { ownServiceName, type ServiceInfo } from "./service-protocol.ts";

/** More are refused. */
export const maxUnfinished = 10_000;

/** Work under way or done, for all requests that asked for it before it was done. */
interface Run {
  /** Of the request that it was started for. */
  readonly id: number;
  readonly requestIds: number[];
  readonly work: WantedWork;
  isRunning: boolean;
  outcome: WorkOutcome | undefined;
}

export interface RequestStatus {
  /** Undefined: waiting or running. */
  readonly outcome: WorkOutcome | undefined;
  /** The request that did the work, this one or another. */
  readonly doneBy: number;
}

export class ServedRequests {
  private readonly runs = new Map<number, Run>();
  private readonly unfinished = new Map<string, Run>();
  private readonly finished = new FinishedRuns();
  private readonly executions = new Set<Promise<void>>();
  /** Syncs never wait behind downloads. */
  private readonly lanes: Readonly<Record<WantedWork["task"], Lanes>>;
  private readonly startMs = Date.now();
  /** Ids of before a restart are not given again: there is less than one request a second. */
  private nextId = Math.floor(this.startMs / 1000);
  private readonly counts = { enqueued: 0, finished: 0, failed: 0 };

  /** `workers`: so many assets, and so many syncs, at a time. */
  constructor(
    workers: number,
    private readonly work: CacheWork,
    private readonly context: Context,
  ) {
    this.lanes = { cache_asset: new Lanes(workers), cache_tests: new Lanes(workers) };
  }

  /** Id of a new request; undefined: too many are not finished. */
  add(work: WantedWork): number | undefined {
    const { enqueued, finished, failed } = this.counts;
    if (enqueued - finished - failed >= maxUnfinished) return undefined;
    this.forget();
    const id = this.nextId++;
    const key = workKey(work);
    const run = this.unfinished.get(key) ?? this.start(id, key, work);
    run.requestIds.push(id);
    this.runs.set(id, run);
    this.counts.enqueued++;
    const shared = run.id === id ? "" : `, shared with #${run.id}`;
    this.context.log.debug(`Request #${id}: ${describe(work)}${shared}`);
    return id;
  }

  /** Undefined: not known, or forgotten. */
  status(id: number): RequestStatus | undefined {
    const run = this.runs.get(id);
    return run && { outcome: run.outcome, doneBy: run.id };
  }

  /** As the stock service counts: its one worker does several requests at a time. */
  info(): ServiceInfo {
    const active = this.running().length;
    const activeWorkers = active > 0 ? 1 : 0;
    return {
      active_jobs: active,
      active_locks: this.unfinished.size,
      active_workers: activeWorkers,
      delayed_jobs: 0,
      enqueued_jobs: this.counts.enqueued,
      failed_jobs: this.counts.failed,
      finished_jobs: this.counts.finished,
      inactive_jobs: this.unfinished.size - active,
      inactive_workers: 1 - activeWorkers,
      uptime: Math.floor((Date.now() - this.startMs) / 1000),
      workers: 1,
      service: ownServiceName,
    };
  }

  /** Assets that are being fetched. */
  get downloads(): number {
    return this.running().filter(({ work }) => work.task === "cache_asset").length;
  }

  /** When nothing runs and waits any more. */
  async ended(): Promise<void> {
    await Promise.all(this.executions);
  }

  private running(): readonly Run[] {
    return [...this.unfinished.values()].filter(({ isRunning }) => isRunning);
  }

  private start(id: number, key: string, work: WantedWork): Run {
    const run: Run = { id, requestIds: [], work, isRunning: false, outcome: undefined };
    this.unfinished.set(key, run);
    const execution = this.execute(run, key).finally(() => this.executions.delete(execution));
    this.executions.add(execution);
    return run;
  }

  private async execute(run: Run, key: string): Promise<void> {
    const outcome = await this.lanes[run.work.task].run(async () => {
      run.isRunning = true;
      return await doWork(run.work, run.id, this.work, this.context);
    });
    // From here on nobody joins it any more.
    this.unfinished.delete(key);
    run.outcome = outcome;
    run.isRunning = false;
    this.counts[outcome.kind === "failed" ? "failed" : "finished"] += run.requestIds.length;
    const outputLength = outcome.kind === "failed" ? 0 : outcome.output.length;
    this.finished.add({ requestIds: run.requestIds, endedAtMs: Date.now(), outputLength });
    this.forget();
  }

  private forget(): void {
    for (const id of this.finished.forget(Date.now())) this.runs.delete(id);
  }
}
