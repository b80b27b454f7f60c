// A library as the executable has it, with texts for content.
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { EmbeddedFile, EmbeddedLibrary } from "../../../src/pictures/native/embedded-library.ts";

/** Of some version; what it is packed in lies in the folder. */
export async function playedLibrary(folder: string, version: string): Promise<EmbeddedLibrary> {
  const libvips = await embed(folder, "libvips-cpp.so.1", `libvips of ${version}`);
  const addon = await embed(folder, "sharp.node", `addon of ${version}`);
  const hash = createHash("sha256").update(version).digest("hex");
  return { id: `sharp-linux-x64-${hash.slice(0, 16)}`, libvips, addon };
}

async function embed(folder: string, name: string, content: string): Promise<EmbeddedFile> {
  const packed = join(folder, `${content}.zst`);
  await writeFile(packed, await Bun.zstdCompress(content));
  const sha256 = createHash("sha256").update(content).digest("hex");
  return { name, sizeBytes: content.length, sha256, packed };
}
