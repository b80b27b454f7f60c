// Looks at folders and files that need not exist.
import type { Stats } from "node:fs";
import { lstat, readdir } from "node:fs/promises";

/** By name, none when there is no such folder. Throws what the file system says otherwise. */
export async function namesIn(folder: string): Promise<string[]> {
  return (await unlessMissing(readdir(folder)))?.sort() ?? [];
}

/** Of a link itself. Undefined when there is nothing. Throws what the file system says otherwise. */
export async function lstatIfThere(path: string): Promise<Stats | undefined> {
  return await unlessMissing(lstat(path));
}

export async function isThere(path: string): Promise<boolean> {
  return (await lstatIfThere(path)) !== undefined;
}

export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

async function unlessMissing<T>(looking: Promise<T>): Promise<T | undefined> {
  return await looking.catch((error) => {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  });
}
