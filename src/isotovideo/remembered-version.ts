// The interface version of isotovideo, remembered over starts of the worker: asking for it takes longer than all else that
// comes before a slot is registered.
import { mkdir, readFile, realpath, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { isotovideoVersion } from "./version.ts";

const fileName = "isotovideo-version.json";
/** The file that has the number, below the folder of isotovideo or of its packages' libraries. */
const interfaceFile = "OpenQA/Isotovideo/Interface.pm";
const packageFolders = ["/usr/lib/os-autoinst", "/usr/libexec/os-autoinst"];

const schema = z.object({ files: z.string(), version: z.number().int().positive() });

export interface VersionMemory {
  /** Of this worker's own files; made when it is missing, but not by root. */
  readonly directory: string;
  readonly ask?: typeof isotovideoVersion;
}

/**
 * Interface version of the isotovideo at a path; it is asked when its files are not those that it was asked with, or
 * cannot be told. 0 if it does not tell one. Throws the signal's reason when that is aborted meanwhile.
 */
export async function rememberedVersion(
  path: string,
  { directory, ask = isotovideoVersion }: VersionMemory,
  context: Context,
): Promise<number> {
  const files = await filesOf(path).catch(() => undefined);
  if (files === undefined) return await ask(path, context);
  const known = await recall(directory);
  if (known?.files === files) return known.version;
  const version = await ask(path, context);
  if (version > 0)
    await remember(directory, { files, version }).catch((error) =>
      context.log.debug(`Unable to remember the version of isotovideo: ${errorText(error)}`),
    );
  return version;
}

/** What the version depends on, as text that differs when one of them was changed or replaced. Undefined: not known. */
async function filesOf(path: string): Promise<string | undefined> {
  const program = await realpath(path);
  const folders = [dirname(program), ...packageFolders];
  const interfaces = await Promise.all(folders.map((folder) => identity(join(folder, interfaceFile))));
  if (interfaces.every((each) => each === undefined)) return undefined;
  return [await identity(program), ...interfaces].join("\n");
}

async function identity(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && [path, found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(" ");
}

async function recall(directory: string): Promise<z.infer<typeof schema> | undefined> {
  const text = await readFile(join(directory, fileName), "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    // Damaged: it is asked and written again.
    return undefined;
  }
}

async function remember(directory: string, known: z.infer<typeof schema>): Promise<void> {
  // Root, who may be there only to register a slot, would take it from the worker's own user.
  if (process.geteuid?.() !== 0) await mkdir(directory, { mode: 0o700 }).catch(unlessThere);
  const path = join(directory, fileName);
  const draft = `${path}.${crypto.randomUUID()}`;
  await writeFile(draft, `${JSON.stringify(known)}\n`, { mode: 0o600, flag: "wx" });
  await rename(draft, path);
}

function unlessThere(error: unknown): void {
  if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
}
