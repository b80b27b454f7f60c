// The assets of a job (protocol 4.2): which settings name some, and how they get into the pool directory. Where they
// come from is the caller's choice; here is the share directory.
import { lstat } from "node:fs/promises";
import { join } from "node:path";
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

/** Finds an asset: an absolute path, or undefined when there is none. */
export type AssetSource = (asset: Asset, context: Context) => Promise<string | undefined>;

export interface AssetPlaces {
  readonly source: AssetSource;
  readonly poolDirectory: string;
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
      const value = settings[setting] ?? "";
      const type = assetType(setting, value);
      return type === undefined ? [] : [{ setting, type, name: checkedName(setting, type, value) }];
    });
}

/** Looks in `factory/TYPE`, then in `factory/TYPE/fixed`. */
export function assetsInShare(shareDirectory: string): AssetSource {
  return async ({ type, name }) => {
    const folder = join(shareDirectory, "factory", type);
    for (const path of [join(folder, name), join(folder, "fixed", name)])
      if (await statIfThere(path)) return path;
    return undefined;
  };
}

/** Links the assets into the pool; resolves with the settings that name them there. Throws `SetupFailure`. */
export async function placeAssets(
  settings: JobSettings,
  { source, poolDirectory }: AssetPlaces,
  context: Context,
): Promise<JobSettings> {
  const usesAbsolutePaths = isOn(settings["ABSOLUTE_TEST_CONFIG_PATHS"] ?? "");
  const placed: Record<string, string> = {};
  for (const asset of assetsOf(settings)) {
    context.signal.throwIfAborted();
    const { setting, type, name } = asset;
    const path = await source(asset, context);
    if (path !== undefined)
      placed[setting] = usesAbsolutePaths ? path : await place(name, path, poolDirectory, context);
    else if (setting !== "UEFI_PFLASH_VARS" || isOn(settings["UEFI"] ?? ""))
      throw new SetupFailure("asset failure", `Cannot find ${setting} asset ${type}/${name}!`);
  }
  return { ...settings, ...placed };
}

async function place(name: string, source: string, poolDirectory: string, { log }: Context): Promise<string> {
  const entry = { name: lastPart(name), source };
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
