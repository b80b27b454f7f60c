// What the stock cache service and its clients say to each other over HTTP (protocol 6): shapes only.
import { z } from "zod";

/** An asset, as a cache service is asked for it. */
export interface ServedAsset {
  readonly jobId: string;
  readonly type: string;
  /** Base name. */
  readonly name: string;
  /** Entry of HOST as configured. */
  readonly host: string;
}

export interface ServedSync {
  /** rsync source, as TESTPOOLSERVER has it. */
  readonly from: string;
  /** Folder of the web UI host: the tests go to "tests" in it. */
  readonly to: string;
}

/** In the key `service` of `GET /info`, which the stock service does not have: that it is this project's. */
export const ownServiceName = "openqa-worker";

/** `GET /info`: the statistics of the stock service's job queue. */
export interface ServiceInfo {
  readonly active_jobs: number;
  readonly active_locks: number;
  readonly active_workers: number;
  readonly delayed_jobs: number;
  readonly enqueued_jobs: number;
  readonly failed_jobs: number;
  readonly finished_jobs: number;
  readonly inactive_jobs: number;
  readonly inactive_workers: number;
  /** Seconds; the stock service does not know. */
  readonly uptime: number | null;
  readonly workers: number;
  readonly service?: string;
}

const count = z.coerce.number().default(0);

/** What a client looks at. */
export const infoSchema = z.object({
  active_workers: count,
  inactive_workers: count,
  inactive_jobs: count,
});

/** By these keys an answer to `GET /info` is one of a cache service. */
export const identitySchema = z.object({
  active_workers: z.unknown(),
  inactive_workers: z.unknown(),
  inactive_jobs: z.unknown(),
  service: z.string().optional(),
});

/** `POST /enqueue`. */
export interface EnqueueBody {
  readonly task: "cache_asset" | "cache_tests";
  readonly args: readonly (string | number)[];
  /** Requests with the same one are done once. */
  readonly lock: string;
}

export function assetBody({ jobId, type, name, host }: ServedAsset): EnqueueBody {
  return { task: "cache_asset", args: [Number(jobId), type, name, host], lock: `${name}.${host}` };
}

export function syncBody({ from, to }: ServedSync): EnqueueBody {
  return { task: "cache_tests", args: [from, to], lock: `${from}.${to}` };
}

export const enqueuedSchema = z.object({ id: z.coerce.number().int().positive() });

/** `GET /status/ID`. */
export const statusSchema = z.object({
  status: z.string(),
  /** "exit code N" of a sync. */
  result: z.string().nullish(),
  /** Log text. */
  output: z.string().nullish(),
  /** Of assets; missing when another request has done the work. */
  has_download_error: z.boolean().nullish(),
});

export type ServiceStatus = z.output<typeof statusSchema>;

export const refusedSchema = z.object({ error: z.string().min(1) });
