// How the executable gets at sharp's addon: what build/embed-sharp.ts has put into it is unpacked and loaded. Only the
// module that stands in for sharp's own loader calls this; from source, sharp loads its addon from node_modules.
import { isAbsolute, join } from "node:path";
import type { Program } from "../../context.ts";
import { errorText, exitCode, WorkerError } from "../../errors.ts";
import { loadLibrary } from "../../process/libc.ts";
import type { EmbeddedLibrary } from "./embedded-library.ts";
import { openInFolder } from "./library-folder.ts";
import { openInMemory } from "./library-in-memory.ts";
import type { OpenLibrary } from "./open-library.ts";

/** sharp's addon or libvips cannot be loaded. */
export class NativeLibraryError extends WorkerError {
  readonly exitCode = exitCode.failed;
}

const folderName = "openqa-worker";
/** Any function of libvips: libraries are opened by what is wanted from them. */
const anyFunction = "vips_version";

/** Resolves with what the addon exports. Throws `NativeLibraryError`. */
export async function loadAddon(
  library: EmbeddedLibrary,
  { env }: Pick<Program, "env"> = process,
): Promise<unknown> {
  const failures: string[] = [];
  for (const { name, open } of places(library, env)) {
    try {
      await using opened = await open();
      return loadOpened(opened);
    } catch (error) {
      failures.push(`${name}: ${errorText(error)}`);
    }
  }
  throw new NativeLibraryError(
    `Cannot load ${library.id} from any place (one has to be a folder of this user's alone, not mounted noexec):\n` +
      failures.join("\n"),
  );
}

interface Place {
  readonly name: string;
  readonly open: () => Promise<OpenLibrary>;
}

/** In the order in which they are tried. What is not set or no absolute path is left out. */
function places(library: EmbeddedLibrary, env: Program["env"]): Place[] {
  const { XDG_CACHE_HOME = "", HOME = "", TMPDIR = "/tmp" } = env;
  const folders = [
    join(XDG_CACHE_HOME, folderName),
    join(HOME, ".cache", folderName),
    join(TMPDIR, `${folderName}-${process.geteuid?.()}`),
  ].filter((path) => isAbsolute(path));
  return [
    ...folders.map((path) => ({ name: path, open: () => openInFolder(path, library) })),
    { name: "memory", open: () => openInMemory(library) },
  ];
}

/** The addon finds libvips by its name among what is loaded. */
function loadOpened({ libvips, addon }: OpenLibrary): unknown {
  loadLibrary(`/proc/self/fd/${libvips.fd}`, anyFunction);
  const module = { exports: {} };
  process.dlopen(module, `/proc/self/fd/${addon.fd}`);
  return module.exports;
}
