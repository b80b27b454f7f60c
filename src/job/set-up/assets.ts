// The assets of a job (protocol 4.2): which settings name some, and how they get into the pool directory. Where they
// come from is the caller's choice; here is the share directory.
import { lstat } from "node:fs/promises";
import { basename, join } from "node:path";
import { allOrFail } from "../../abortable.ts";
import { isOn } from "../../config/read-values.ts";
import type { Context } from "../../context.ts";
import { SetupFailure } from "../../errors.ts";
import { statIfThere } from "../../ops/stat-if-there.ts";
import type { JobSettings } from "./job-settings.ts";
import { assertUsableName, placeHardLink, placeSymlink } from "./pool-entries.ts";

export interface Asset {
  /** The setting that names it. */
  readonly setting: string;
  readonly type: "iso" | "hdd" | "other";
  /** Relative to the folder of its type, without "..". */
  readonly name: string;
}

export interface AssetSource {
  /** An absolute path; undefined: the setting stays as it is. Throws `SetupFailure` when the job cannot do without. */
  find(asset: Asset, context: Context): Promise<string | undefined>;
  /** False: with ABSOLUTE_TEST_CONFIG_PATHS a job uses the file where it is. */
  readonly isAlwaysLinked: boolean;
}

export interface FoundAsset extends Asset {
  readonly path: string;
}

const maxNameBytes = 255;
const maxPathBytes = 2048;
/** Of a name in an error text. */
const maxQuotedChars = 200;

/** Type of the asset that a setting names; undefined: none (repositories are directories, never linked). */
export function assetType(setting: string, value: string): Asset["type"] | undefined {
  if (!isOn(value)) return undefined;
  if (/^ISO(_\d+)?$/.test(setting)) return "iso";
  if (/^HDD_\d+$/.test(setting)) return "hdd";
  if (/^ASSET_\d+$/.test(setting)) return "other";
  if (value.startsWith("/")) return undefined;
  if (/^UEFI_PFLASH_(CODE|VARS)$/.test(setting)) return "hdd";
  return setting === "KERNEL" || setting === "INITRD" ? "other" : undefined;
}

/** The assets of a job by the names of their settings. Throws `SetupFailure` for names that lead elsewhere. */
export function assetsOf(settings: JobSettings): readonly Asset[] {
  return Object.keys(settings)
    .sort()
    .flatMap((setting) => {
      // Trimmed before it is checked.
      const value = (settings[setting] ?? "").trim();
      const type = assetType(setting, value);
      return type === undefined ? [] : [{ setting, type, name: checkedName(setting, type, value) }];
    });
}

/** Looks in `factory/TYPE`, then in `factory/TYPE/fixed`. */
export function assetsInShare(shareDirectory: string, jobSettings: JobSettings): AssetSource {
  return {
    isAlwaysLinked: false,
    async find({ setting, type, name }) {
      const folder = join(shareDirectory, "factory", type);
      for (const path of [join(folder, name), join(folder, "fixed", name)])
        if (await statIfThere(path)) return path;
      if (setting === "UEFI_PFLASH_VARS" && !isOn(jobSettings["UEFI"] ?? "")) return undefined;
      throw new SetupFailure("asset failure", `Cannot find ${setting} asset ${type}/${name}!`);
    },
  };
}

/** The assets of a job, found side by side; the first failure ends the search for the others. Throws `SetupFailure`. */
export async function findAssets(
  settings: JobSettings,
  source: AssetSource,
  context: Context,
): Promise<readonly FoundAsset[]> {
  const searches = assetsOf(settings).map((asset) => async (inner: Context) => {
    const path = await source.find(asset, inner);
    return path === undefined ? [] : [{ ...asset, path }];
  });
  return (await allOrFail(searches, context)).flat();
}

/** Links the assets into the pool; resolves with the settings that name them there. Throws `SetupFailure`. */
export async function placeAssets(
  settings: JobSettings,
  found: readonly FoundAsset[],
  { isAlwaysLinked, poolDirectory }: { readonly isAlwaysLinked: boolean; readonly poolDirectory: string },
  context: Context,
): Promise<JobSettings> {
  const usesAbsolutePaths = isOn(settings["ABSOLUTE_TEST_CONFIG_PATHS"] ?? "");
  const placed: Record<string, string> = {};
  for (const { setting, path } of found) {
    context.signal.throwIfAborted();
    if (usesAbsolutePaths && !isAlwaysLinked) placed[setting] = path;
    else {
      const name = await place(path, poolDirectory, context);
      placed[setting] = usesAbsolutePaths ? join(poolDirectory, name) : name;
    }
  }
  return { ...settings, ...placed };
}

async function place(source: string, poolDirectory: string, { log }: Context): Promise<string> {
  const entry = { name: basename(source), source };
  const isLink = (await lstat(source)).isSymbolicLink();
  // A hard link to a symlink would lead elsewhere from the pool.
  await (isLink ? placeSymlink : placeHardLink)(poolDirectory, entry, log);
  return entry.name;
}

/** Folders in a name are fine ("fixed/NAME"), ways out of the asset folder are not. */
function checkedName(setting: string, type: string, name: string): string {
  const parts = name.split("/").filter((part) => part !== "");
  const problem =
    name.includes("\0") || parts.some((part) => part === "." || part === "..") || parts.length === 0
      ? "is no name of a file in the asset folder"
      : Buffer.byteLength(name) > maxPathBytes || parts.some((part) => Buffer.byteLength(part) > maxNameBytes)
        ? "is too long"
        : undefined;
  if (problem !== undefined) {
    const quoted = JSON.stringify(`${type}/${name}`.slice(0, maxQuotedChars));
    throw new SetupFailure("asset failure", `Cannot find ${setting} asset ${quoted}: this ${problem}`);
  }
  assertUsableName(lastPart(name), "asset failure");
  return name;
}

function lastPart(name: string): string {
  return name.replace(/\/+$/, "").replace(/^.*\//s, "");
}
