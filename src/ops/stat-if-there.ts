// Looks at a path that may lead nowhere.
import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";

/** What a path leads to, over links; undefined when there is nothing or it cannot be reached. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  return await stat(path).catch(() => undefined);
}
