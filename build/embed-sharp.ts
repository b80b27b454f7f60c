// Puts sharp's addon and libvips into the executable, compressed. Where sharp would look for its addon in node_modules,
// the executable takes it out of itself (src/pictures/native). None of it is read before sharp is imported.
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { BunPlugin } from "bun";
import type { EmbeddedFile } from "../src/pictures/native/embedded-library.ts";

/** Higher ones take many times as long, for a few percent. */
const compressionLevel = 9;
const loader = join(import.meta.dir, "../src/pictures/native/load-addon.ts");
const namespace = "sharp-library";

interface LibraryFile {
  readonly described: Omit<EmbeddedFile, "packed">;
  readonly packed: Uint8Array;
}

/** `platform` as in the names of sharp's packages ("linux-x64"), which are in the folder `packages`. */
export async function embedSharp(platform: string, packages: string): Promise<BunPlugin> {
  const files = {
    libvips: await pack(join(packages, `@img/sharp-libvips-${platform}/lib`), /^libvips-cpp\.so/),
    addon: await pack(join(packages, `@img/sharp-${platform}/lib`), /\.node$/),
  };
  return {
    name: "embed-sharp",
    setup(build) {
      build.onLoad({ filter: /\/node_modules\/sharp\/dist\/sharp\.mjs$/ }, () => ({
        contents: addonModule(platform, files),
        loader: "js",
      }));
      for (const [name, { packed }] of Object.entries(files)) {
        const filter = new RegExp(`^${namespace}:${name}$`);
        build.onResolve({ filter }, () => ({ path: `${name}.zst`, namespace }));
        build.onLoad({ filter: new RegExp(`^${name}\\.zst$`), namespace }, () => ({
          contents: packed,
          loader: "file",
        }));
      }
    },
  };
}

/** The only file in the folder with such a name. */
async function pack(folder: string, pattern: RegExp): Promise<LibraryFile> {
  const names = (await readdir(folder)).filter((name) => pattern.test(name));
  const [name] = names;
  if (name === undefined || names.length > 1)
    throw new Error(
      `${folder} has ${names.length} files of ${pattern}, expected one: is this another sharp?`,
    );
  const content = await readFile(join(folder, name));
  const sha256 = createHash("sha256").update(content).digest("hex");
  return {
    described: { name, sizeBytes: content.length, sha256 },
    packed: await Bun.zstdCompress(content, { level: compressionLevel }),
  };
}

/** Stands in for the module of sharp that finds and loads its addon. */
function addonModule(platform: string, files: Readonly<Record<"libvips" | "addon", LibraryFile>>): string {
  const { libvips, addon } = files;
  const hash = createHash("sha256")
    .update(`${libvips.described.sha256} ${addon.described.sha256}`)
    .digest("hex");
  return `
    import libvips from "${namespace}:libvips";
    import addon from "${namespace}:addon";
    import { loadAddon } from ${JSON.stringify(loader)};
    export default await loadAddon({
      id: ${JSON.stringify(`sharp-${platform}-${hash.slice(0, 16)}`)},
      libvips: { ...${JSON.stringify(libvips.described)}, packed: libvips },
      addon: { ...${JSON.stringify(addon.described)}, packed: addon },
    });
  `;
}
