// Where configuration files are looked up (protocol 1.1) and how they are read. What is in them is not known here.
import { access, constants, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Program } from "../context.ts";
import { errorText } from "../errors.ts";

export interface ConfigText {
  readonly path: string;
  readonly text: string;
}

export interface ConfigLookup {
  /** In the order in which they apply. */
  readonly files: readonly ConfigText[];
  /** Files that are there but cannot be read. */
  readonly problems: readonly string[];
}

export const systemConfigDirectories: readonly string[] = ["/etc/openqa", "/usr/etc/openqa"];

/** Bigger configuration files are not read. */
const maxConfigFileBytes = 1024 * 1024;

/** Drop-ins of one directory; those beyond are not read. */
const maxDropIns = 1000;

/** Reads NAME.EXT and NAME.EXT.d/*.EXT of the first level of directories that has any of them. */
export async function readConfigFiles(
  name: string,
  { program, system, inHome = false }: { program: Program; system: readonly string[]; inHome?: boolean },
): Promise<ConfigLookup> {
  const { OPENQA_CONFIG: explicit } = program.env;
  const levels = [
    explicit ? [explicit] : [],
    inHome ? [join(program.home, ".config/openqa")] : [],
    // One level: the main file of the second overrides the drop-ins of the first.
    system,
  ];
  const problems: string[] = [];
  for (const directories of levels) {
    const files = await readLevel(name, directories, problems);
    if (files.length > 0) return { files, problems };
  }
  return { files: [], problems };
}

async function readLevel(name: string, directories: readonly string[], problems: string[]) {
  const files: ConfigText[] = [];
  for (const directory of directories) {
    const main = await readIfThere(join(directory, name), problems);
    if (main !== undefined) files.push(main);
    for (const path of await dropIns(join(directory, `${name}.d`), name, problems)) {
      const dropIn = await readIfThere(path, problems);
      if (dropIn !== undefined) files.push(dropIn);
    }
    if (main !== undefined) break;
  }
  return files;
}

async function dropIns(directory: string, name: string, problems: string[]): Promise<string[]> {
  const extension = name.slice(name.lastIndexOf("."));
  const names = await readdir(directory).catch((error: unknown) => {
    if (!isAbsent(error)) problems.push(`${directory}: cannot be read: ${errorText(error)}`);
    return [];
  });
  const matching = names.filter((file) => file.endsWith(extension)).sort();
  if (matching.length > maxDropIns)
    problems.push(`${directory}: only the first ${maxDropIns} files are read`);
  return matching.slice(0, maxDropIns).map((file) => join(directory, file));
}

async function readIfThere(path: string, problems: string[]): Promise<ConfigText | undefined> {
  try {
    await access(path, constants.R_OK);
    const stats = await stat(path);
    if (stats.isFile() && stats.size <= maxConfigFileBytes)
      return { path, text: await readFile(path, "utf8") };
    const fault = stats.isFile()
      ? `${stats.size} bytes, at most ${maxConfigFileBytes} are read`
      : "no regular file";
    problems.push(`${path}: ${fault}; it is ignored`);
  } catch (error) {
    if (!isAbsent(error)) problems.push(`${path}: cannot be read: ${errorText(error)}`);
  }
  return undefined;
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR");
}
