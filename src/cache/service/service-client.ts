// The worker as a client of a cache service: the stock one, or ours (protocol 6, 3.3 no. 1).
import { mkdir } from "node:fs/promises";
import type { CacheSettings } from "../../config/settings.ts";
import type { Context } from "../../context.ts";
import { AssetRefusedError, CacheError, errorText } from "../../errors.ts";
import { sleep } from "../../sleep.ts";
import { callService, type ServiceTries } from "./service-call.ts";
import {
  assetBody,
  type EnqueueBody,
  enqueuedSchema,
  infoSchema,
  type ServedAsset,
  type ServedSync,
  type ServiceStatus,
  statusSchema,
  syncBody,
} from "./service-protocol.ts";

export { findCacheService } from "./find-cache-service.ts";

/** The stock service answers late when its database is busy. */
const callTimeoutMs = 300_000;

/** What is in the cache already is there at once: the first look comes early, the wait for each further one doubles. */
const firstLookMs = 100;

/** Exit codes of rsync that another request may mend. */
const retryableExitCodes: ReadonlyMap<string, string> = new Map([
  ["exit code 10", "Error in socket I/O"],
  ["exit code 23", "Partial transfer due to error"],
  ["exit code 24", "Partial transfer due to vanished source files"],
]);

export class CacheService {
  constructor(
    readonly url: string,
    private readonly settings: Pick<CacheSettings, "service" | "maxWaiting" | "maxWaitingOfJob" | "sync">,
  ) {}

  /** Why no job can be taken, by one try; undefined: nothing. */
  async findProblem(context: Context): Promise<string | undefined> {
    const { service, maxWaiting } = this.settings;
    try {
      await this.assertAvailable(
        maxWaiting,
        { ...service, tries: 1, timeoutMs: service.checkTimeoutMs },
        context,
      );
      return undefined;
    } catch (error) {
      if (error instanceof CacheError) return error.message;
      throw error;
    }
  }

  /**
   * Resolves when the service has processed the request; whether the file is there then is for the caller to see.
   * Throws `AssetRefusedError` when the web UI has answered with a 4xx, `CacheError` when the service fails.
   */
  async fetchAsset(asset: ServedAsset, context: Context): Promise<{ output: string; hasError: boolean }> {
    const { name } = asset;
    await this.assertAvailable(this.settings.maxWaitingOfJob, this.tries, context);
    const id = await this.enqueue(assetBody(asset), `asset request for ${name}`, context);
    context.log.info(`Downloading ${name}, request #${id} sent to Cache Service`);
    const status = await this.processed(id, context);
    const output = status.output ?? "";
    context.log.info(`Download of ${name} processed${output && `:\n${output}`}`);
    const hasError = status.has_download_error === true;
    const refusal = /failed: (4\d\d) .*/.exec(output);
    // A request that only waited for another one does not say whether there was an error.
    if (refusal && status.has_download_error !== false)
      throw new AssetRefusedError(`Download of ${name} ${refusal[0]}`, Number(refusal[1]));
    return { output, hasError };
  }

  /** Throws `CacheError`, "Failed to rsync tests: exit code N" when rsync failed. */
  async syncTests(sync: ServedSync, context: Context): Promise<void> {
    const { log } = context;
    const what = `rsync from '${sync.from}' to '${sync.to}'`;
    // The service of 2023 does not do it, and fails unless an asset of that host has been fetched before.
    await mkdir(sync.to, { recursive: true }).catch((error) =>
      log.debug(`Left to the cache service: ${errorText(error)}`),
    );
    for (let round = 1; ; round++) {
      const id = await this.enqueue(syncBody(sync), what, context);
      log.info(`${what.replace("rsync", "Rsync")}, request #${id} sent to Cache Service`);
      const { output, result } = await this.processed(id, context);
      if (output) log.info(`Output of rsync:\n${output}`);
      // None when it was not necessary: another request has done it.
      const exit = result ?? "exit code 0";
      if (exit === "exit code 0") return log.info("Finished to rsync tests");
      const mendable = retryableExitCodes.get(exit);
      if (mendable === undefined || round >= this.settings.sync.rounds)
        throw new CacheError(`Failed to rsync tests: ${exit}`);
      log.info(`${mendable} (${exit}), trying again`);
    }
  }

  private get tries(): ServiceTries {
    return { ...this.settings.service, timeoutMs: callTimeoutMs };
  }

  private async assertAvailable(maxWaiting: number, tries: ServiceTries, context: Context): Promise<void> {
    const call = { service: this.url, action: "info", path: "info", schema: infoSchema } as const;
    const info = await callService(call, tries, context);
    if (info.active_workers + info.inactive_workers === 0)
      throw new CacheError("No workers active in the cache service");
    // The lower limit is named, whichever counts: so does the stock worker.
    if (info.inactive_jobs > maxWaiting)
      throw new CacheError(`Cache service queue already full (${this.settings.maxWaiting})`);
  }

  /** Id of the request. */
  private async enqueue(body: EnqueueBody, what: string, context: Context): Promise<number> {
    const call = {
      service: this.url,
      action: "enqueue",
      path: "enqueue",
      body,
      schema: enqueuedSchema,
    } as const;
    try {
      return (await callService(call, this.tries, context)).id;
    } catch (error) {
      if (!(error instanceof CacheError)) throw error;
      throw new CacheError(`Failed to send ${what}: ${error.message}`, { cause: error });
    }
  }

  /** As long as it takes: the time limit of the set-up is in `context`. */
  private async processed(id: number, context: Context): Promise<ServiceStatus> {
    const call = { service: this.url, action: "status", path: `status/${id}`, schema: statusSchema } as const;
    const { pollIntervalMs } = this.settings.service;
    let delayMs = Math.min(firstLookMs, pollIntervalMs);
    for (;;) {
      await sleep(delayMs, context.signal);
      const status = await callService(call, this.tries, context);
      if (status.status === "processed") return status;
      delayMs = Math.min(2 * delayMs, pollIntervalMs);
    }
  }
}
