// What is uploaded at the end of a job: logs of the tests, assets, and the logs of the job itself (protocol 8.1
// step 3). Regular files of the pool only.
import { allEnded } from "../abortable.ts";
import type { Context } from "../context.ts";
import { isFurtherInVain, type UploadTarget, uploadFile } from "./artefact.ts";
import { uploadAsset } from "./asset-upload.ts";
import { isOtherLog, isVideo, lastLogs, otherLogs } from "./job-log-names.ts";
import { Lanes } from "./lanes.ts";
import { listInside } from "./pool-file.ts";
import { type Upload, type UploadFailure, uploadGroup } from "./upload-group.ts";

export interface JobFilesOptions extends UploadTarget {
  readonly withAssets: boolean;
  /** Rewrites vars.json without its secrets; throws when it cannot. */
  readonly redactVars: (context: Context) => Promise<void>;
  /** Writes "Uploading NAME" into the job's logs; they are on disk when it resolves. */
  readonly announce: (name: string) => Promise<void>;
  /** Lines that the job's logs have got so far. */
  readonly lineCount: () => number;
  /** By path in the pool: what the server has got before is not sent again. */
  readonly isDelivered: (key: string) => boolean;
  readonly noteDelivered: (key: string) => void;
}

export type UploadGroup = "ulogs" | "assets" | "logs";

/** The upload that ended its group. */
export interface GroupFailure extends UploadFailure {
  readonly group: UploadGroup;
}

/** Of the job's own logs: lines that come while the first is under way, as when another upload fails, go with the second. */
const maxPasses = 2;

/**
 * Uploads user logs, then assets, and the job's logs beside them; its own logs as soon as all else is on its way. A
 * failing upload ends its group, failed user logs also keep the assets back. Resolves with what failed. Throws the
 * signal's reason when aborted.
 */
export async function uploadJobFiles(options: JobFilesOptions, context: Context): Promise<GroupFailure[]> {
  const lanes = new Lanes(options.settings.own.report.parallelUploads);
  const { ulogs, assets, logs, last } = await findFiles(options, context);
  const begin = countdown(ulogs.length + assets.length + logs.length);
  const each = { ...options, onBegun: begin.step };
  const failures: GroupFailure[] = [];
  const uploadAll = async (group: UploadGroup, uploads: readonly Upload[], limit = lanes) => {
    const failure = await uploadGroup(uploads, limit, each, context);
    if (failure) failures.push({ group, ...failure });
    return failure === undefined;
  };
  // Assets one at a time: each is sent in chunks that fill the line by themselves.
  const ulogsThenAssets = async () =>
    (await uploadAll("ulogs", ulogs)) && (await uploadAll("assets", assets, new Lanes(1)));
  const others = allEnded([ulogsThenAssets(), uploadAll("logs", logs)]);
  const isOver = () => failures.some(({ error }) => isFurtherInVain(error));

  try {
    await Promise.race([begin.done, others]);
    if (isOver()) return failures;
    for (const { name, key } of last) if (!options.isDelivered(key)) await options.announce(name);
    const silent = { ...options, announce: async () => {}, onBegun: () => {}, noteDelivered: () => {} };
    for (let pass = 1; ; pass++) {
      const lines = options.lineCount();
      const failure = await uploadGroup(last, lanes, silent, context);
      await others;
      if (isOver()) return failures;
      if (options.lineCount() !== lines && pass < maxPasses) continue;
      if (failure) return [...failures, { group: "logs", ...failure }];
      for (const { key } of last) options.noteDelivered(key);
      return failures;
    }
  } finally {
    // What they read may be moved to the spool next.
    await others;
  }
}

/** `done` resolves when `step` has been called so many times. */
function countdown(steps: number): { readonly step: () => void; readonly done: Promise<void> } {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  let left = steps;
  if (left === 0) resolve();
  return { done, step: () => --left === 0 && resolve() };
}

/** All that is there to be uploaded: nothing of the job runs any more. */
async function findFiles(options: JobFilesOptions, context: Context) {
  const ulogs = await listVisible(options, "ulogs", context);
  const logs = await logsIn(options, context);
  const there = await listVisible(options, ".", context, (name) => lastLogs.includes(name));
  return {
    ulogs: ulogs.map((name) => fileUpload(options, `ulogs/${name}`, name, { ulog: "1" })),
    assets: options.withAssets ? await assetUploads(options, context) : [],
    logs: [...logs].map(([as, inPool]) => fileUpload(options, inPool, as)),
    last: lastLogs.filter((name) => there.includes(name)).map((name) => fileUpload(options, name, name)),
  };
}

/** Name on the server → name in the pool, of all logs but the last ones. */
async function logsIn(options: JobFilesOptions, context: Context): Promise<ReadonlyMap<string, string>> {
  const there = await listVisible(options, ".", context, (name) => isVideo(name) || isOtherLog(name));
  const isRedacted = there.includes("vars.json") && (await redacted(options, context));
  const wanted = [
    ...there.filter(isVideo).map((name) => [name] as const),
    ...otherLogs.filter(([name]) => there.includes(name) && (isRedacted || name !== "vars.json")),
  ];
  return new Map(wanted.map(([inPool, as = inPool]) => [as, inPool]));
}

async function redacted({ redactVars }: JobFilesOptions, context: Context): Promise<boolean> {
  try {
    await redactVars(context);
    return true;
  } catch (error) {
    context.signal.throwIfAborted();
    context.log.warn(`Not uploading vars.json, its secrets cannot be redacted: ${error}`);
    return false;
  }
}

async function assetUploads(options: JobFilesOptions, context: Context): Promise<Upload[]> {
  const uploads: Upload[] = [];
  for (const scope of ["private", "public"] as const)
    for (const name of await listVisible(options, `assets_${scope}`, context))
      uploads.push({
        name,
        key: `assets_${scope}/${name}`,
        upload: (context) => uploadAsset(options, { name, scope }, context),
      });
  return uploads;
}

function fileUpload(
  options: UploadTarget,
  inPool: string,
  as: string,
  fields: Readonly<Record<string, string>> = {},
): Upload {
  return { name: as, key: inPool, upload: (context) => uploadFile(options, { inPool, as }, fields, context) };
}

/**
 * Wanted regular files in a folder, no dot files. Names what is no regular file; nothing is uploaded from a folder that
 * cannot be listed, for instance because it is a link.
 */
async function listVisible(
  { poolDirectory }: UploadTarget,
  folder: string,
  { log }: Context,
  isWanted: (name: string) => boolean = () => true,
): Promise<string[]> {
  try {
    const { files, others } = await listInside(poolDirectory, folder);
    for (const name of others.filter(isWanted)) log.warn(`Not uploading ${name}: it is no regular file`);
    return files.filter((name) => !name.startsWith(".") && isWanted(name));
  } catch (error) {
    log.warn(`Not uploading from ${folder}: ${error}`);
    return [];
  }
}
