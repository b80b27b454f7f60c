// The parts of the benchmark: each file in parts/ is one, and named like it.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { BenchPart } from "./bench-part.ts";

const folder = join(import.meta.dir, "parts");

/** Those that take least first, where they are named here; the others follow. */
const order = [
  "memory",
  "cpu",
  "overhead",
  "cache",
  "start",
  "cancel",
  "live-view",
  "slots",
  "pictures",
  "screenshots",
  "effect",
  "upload",
  "download",
];

/** Names of all parts, in the order in which they run. */
export async function partNames(): Promise<string[]> {
  const names = (await readdir(folder))
    .filter((file) => file.endsWith(".ts"))
    .map((file) => file.slice(0, -3));
  const place = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  return names.sort((a, b) => place(a) - place(b) || a.localeCompare(b));
}

export async function loadPart(name: string): Promise<BenchPart> {
  const path = join(folder, `${name}.ts`);
  const { part }: { part?: BenchPart } = await import(path);
  if (part?.name !== name) throw new Error(`${path} exports no part of the name ${name}`);
  return part;
}
