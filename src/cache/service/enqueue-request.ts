// What `POST /enqueue` asks for: the body, checked, with the stock service's refusals (protocol 6). Pure.
import { z } from "zod";
import { assetNameProblem, assetTypes, hasControlCharacters } from "../asset-name.ts";
import { parseObject } from "./service-call.ts";
import type { ServedAsset, ServedSync } from "./service-protocol.ts";

export type WantedWork =
  | { readonly task: "cache_asset"; readonly asset: ServedAsset }
  | { readonly task: "cache_tests"; readonly sync: ServedSync };

const maxTextBytes = 4096;

const text = z
  .string()
  .min(1)
  .refine((value) => !hasControlCharacters(value) && Buffer.byteLength(value) <= maxTextBytes);

const name = text.refine((value) => assetNameProblem(value) === undefined);

/** An entry of HOST: only in front of "//", and at its end, are slashes. */
const host = text.refine(
  (value) => name.safeParse(value.replace(/^https?:\/\//, "").replace(/\/$/, "")).success,
);

const jobId = z.union([z.number().int().nonnegative(), z.string().regex(/^\d{1,18}$/)]).transform(String);

const schemas = {
  cache_asset: z.tuple([jobId, z.enum(assetTypes), name, host]),
  cache_tests: z.tuple([text, text]),
};

/** The work, or why there is none to do. Whoever asks may be any user of the host: nothing in it is trusted. */
export function parseEnqueued(body: string): WantedWork | { readonly refusal: string } {
  const fields = z.record(z.string(), z.unknown()).safeParse(parseObject(body));
  const { task, args, lock } = fields.success ? fields.data : {};
  if (isMissing(task)) return { refusal: "No task defined" };
  if (isMissing(args)) return { refusal: "No arguments defined" };
  if (!Array.isArray(args)) return { refusal: "Arguments need to be an array" };
  if (isMissing(lock)) return { refusal: "No lock defined" };
  if (task === "cache_asset") return parseAsset(args);
  if (task === "cache_tests") return parseSync(args);
  return { refusal: "Unknown task, expected cache_asset or cache_tests" };
}

/** Two with the same text are the same work, whichever jobs they are for. */
export function workKey(work: WantedWork): string {
  if (work.task === "cache_tests") return JSON.stringify(["tests", work.sync.from, work.sync.to]);
  const { type, name: asset, host: hostEntry } = work.asset;
  return JSON.stringify(["asset", type, asset, hostEntry]);
}

function isMissing(value: unknown): boolean {
  return value === undefined || value === null;
}

function parseAsset(args: unknown): WantedWork | { readonly refusal: string } {
  const parsed = schemas.cache_asset.safeParse(args);
  if (!parsed.success)
    return {
      refusal:
        `Invalid arguments of cache_asset, expected job id, type (${assetTypes.join(", ")}), name of a file and host, ` +
        "without control characters",
    };
  const [id, type, asset, hostEntry] = parsed.data;
  return { task: "cache_asset", asset: { jobId: id, type, name: asset, host: hostEntry } };
}

function parseSync(args: unknown): WantedWork | { readonly refusal: string } {
  const parsed = schemas.cache_tests.safeParse(args);
  if (!parsed.success)
    return {
      refusal: `Invalid arguments of cache_tests, expected source and target of at most ${maxTextBytes} bytes, without control characters`,
    };
  const [from, to] = parsed.data;
  return { task: "cache_tests", sync: { from, to } };
}
