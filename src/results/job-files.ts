// What is uploaded at the end of a job: logs of the tests, assets, and the logs of the job itself (protocol 8.1
// step 3). Regular files of the pool only.
import type { Context } from "../context.ts";
import { isJobGivenUp, type UploadTarget, uploadFile } from "./artefact.ts";
import { uploadAsset } from "./asset-upload.ts";
import { isOtherLog, isVideo, lastLogs, otherLogs } from "./job-log-names.ts";
import { Lanes } from "./lanes.ts";
import { listInside } from "./pool-file.ts";

export interface JobFilesOptions extends UploadTarget {
  readonly withAssets: boolean;
  /** Rewrites vars.json without its secrets; throws when it cannot. */
  readonly redactVars: (context: Context) => Promise<void>;
  /** Writes "Uploading NAME" into the job's logs; they are on disk when it resolves. */
  readonly announce: (name: string) => Promise<void>;
  /** By path in the pool: what the server has got before is not sent again. */
  readonly isDelivered: (key: string) => boolean;
  readonly noteDelivered: (key: string) => void;
}

export type UploadGroup = "ulogs" | "assets" | "logs";

/** The upload that ended its group. */
export interface GroupFailure {
  readonly group: UploadGroup;
  readonly name: string;
  readonly error: Error;
}

/** One upload of a group. */
interface Item {
  readonly name: string;
  /** Of its kind and name: what was delivered is remembered by it. */
  readonly key: string;
  readonly upload: (context: Context) => Promise<boolean>;
}

/**
 * Uploads user logs, then assets, and the job's logs beside them; its own logs last. A failing upload ends its group,
 * failed user logs also keep the assets back. Resolves with what failed. Throws the signal's reason when aborted.
 */
export async function uploadJobFiles(options: JobFilesOptions, context: Context): Promise<GroupFailure[]> {
  const lanes = new Lanes(options.settings.own.report.parallelUploads);
  const uploadAll = (group: UploadGroup, items: readonly Item[], laneCount = lanes) =>
    uploadGroup(group, items, laneCount, options, context);
  const ulogsThenAssets = async () => {
    const ulogs = await listVisible(options, "ulogs", context);
    const failure = await uploadAll(
      "ulogs",
      ulogs.map((name) => fileItem(options, `ulogs/${name}`, name, { ulog: "1" })),
    );
    if (failure || !options.withAssets) return failure;
    // One at a time: each is sent in chunks that fill the line by themselves.
    return await uploadAll("assets", await assetItems(options, context), new Lanes(1));
  };
  const jobLogs = async () => {
    const names = await logsIn(options, context);
    return await uploadAll(
      "logs",
      [...names].map(([as, inPool]) => fileItem(options, inPool, as)),
    );
  };
  const failures = (await Promise.all([ulogsThenAssets(), jobLogs()])).filter(isFailure);
  const isOver = failures.some(({ group, error }) => group === "logs" || isJobGivenUp(error));
  if (isOver) return failures;
  const there = await listVisible(options, ".", context, (name) => lastLogs.includes(name));
  const names = lastLogs.filter((name) => there.includes(name));
  const items = names.map((name) => fileItem(options, name, name));
  for (const { name, key } of items) if (!options.isDelivered(key)) await options.announce(name);
  const failure = await uploadGroup("logs", items, lanes, { ...options, announce: async () => {} }, context);
  return failure ? [...failures, failure] : failures;
}

async function uploadGroup(
  group: UploadGroup,
  items: readonly Item[],
  lanes: Lanes,
  { announce, isDelivered, noteDelivered }: JobFilesOptions,
  { signal, log }: Context,
): Promise<GroupFailure | undefined> {
  let failure: GroupFailure | undefined;
  const uploadItem = async ({ name, key, upload }: Item) => {
    signal.throwIfAborted();
    if (failure || isDelivered(key)) return;
    try {
      await announce(name);
      await upload({ signal, log });
      noteDelivered(key);
    } catch (error) {
      signal.throwIfAborted();
      failure ??= { group, name, error: error instanceof Error ? error : new Error(String(error)) };
      log.error(`Error uploading ${name}: ${failure.error.message}`);
    }
  };
  const results = await Promise.allSettled(items.map((item) => lanes.run(() => uploadItem(item))));
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return failure;
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

async function assetItems(options: JobFilesOptions, context: Context): Promise<Item[]> {
  const items: Item[] = [];
  for (const scope of ["private", "public"] as const)
    for (const name of await listVisible(options, `assets_${scope}`, context))
      items.push({
        name,
        key: `assets_${scope}/${name}`,
        upload: (context) => uploadAsset(options, { name, scope }, context),
      });
  return items;
}

function fileItem(
  options: UploadTarget,
  inPool: string,
  as: string,
  fields: Readonly<Record<string, string>> = {},
): Item {
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

function isFailure(failure: GroupFailure | undefined): failure is GroupFailure {
  return failure !== undefined;
}
