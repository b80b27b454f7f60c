// The pictures that the benchmark works with, of two kinds that want different treatment: desktops with more than 256
// colours, text screens with fewer. Made once and kept; other sets are used as well where they are named.
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "../../e2e/processes.ts";
import { desktopPage, pageCount } from "./desktop-pages.ts";
import { takeGrubScreens } from "./grub-screens.ts";
import { encodePictures } from "./tinycv.ts";

/** Folder with `desktop` and `textmode`, PNG files in each. */
const givenVariable = "OPENQA_WORKER_BENCH_PICTURES";
const cacheFolder = fileURLToPath(
  new URL("../../../node_modules/.cache/openqa-worker-bench", import.meta.url),
);

export type PictureKind = "desktop" | "textmode";

export interface PictureSet {
  readonly kind: PictureKind;
  /** "own": made by the benchmark; "given": named in the environment. */
  readonly origin: "own" | "given";
  readonly folder: string;
  /** File names, sorted. */
  readonly names: readonly string[];
}

const makers: Readonly<Record<PictureKind, { make: (folder: string) => Promise<string[]>; recipe: string }>> =
  {
    desktop: { make: takeDesktops, recipe: "desktop-pages.ts" },
    textmode: { make: takeGrubScreens, recipe: "grub-screens.ts" },
  };
const kinds = ["desktop", "textmode"] as const;

/**
 * Own sets first. What is missing is made, which takes half a minute and installs a browser; QEMU and what the other parts
 * of the benchmark need as well is installed before.
 */
export async function pictureSets(note: (line: string) => void): Promise<PictureSet[]> {
  await run([installer("../../e2e/install.sh")]);
  const sets: PictureSet[] = [];
  for (const kind of kinds) sets.push(await readSet(kind, "own", await ownFolder(kind, note)));
  const given = process.env[givenVariable];
  if (given) for (const kind of kinds) sets.push(await readSet(kind, "given", join(given, kind)));
  return sets;
}

async function readSet(kind: PictureKind, origin: PictureSet["origin"], folder: string): Promise<PictureSet> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".png")).sort();
  if (names.length === 0) throw new Error(`${folder} has no pictures`);
  return { kind, origin, folder, names };
}

/** Made anew when its recipe has changed. */
async function ownFolder(kind: PictureKind, note: (line: string) => void): Promise<string> {
  const { make, recipe } = makers[kind];
  const digest = Bun.hash(await readFile(join(import.meta.dir, recipe))).toString(36);
  const folder = join(cacheFolder, `${kind}-${digest}`);
  const isThere = await readdir(folder).then(
    () => true,
    () => false,
  );
  if (isThere) return folder;
  note(`making the ${kind} pictures`);
  const draft = `${folder}.${process.pid}`;
  const sources = `${draft}.sources`;
  try {
    for (const path of [draft, sources]) await mkdir(path, { recursive: true });
    const taken = await make(sources);
    const name = (index: number) => `${String(index + 1).padStart(2, "0")}.png`;
    await encodePictures(taken.map((source, index) => ({ source, picture: join(draft, name(index)) })));
    await rename(draft, folder);
  } finally {
    for (const path of [draft, sources]) await rm(path, { recursive: true, force: true });
  }
  return folder;
}

/** A browser's pictures of local pages, without a network. */
async function takeDesktops(folder: string): Promise<string[]> {
  await run([installer("../install.sh")]);
  const flags = [
    "--no-sandbox",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--window-size=1024,768",
    `--user-data-dir=${join(folder, "profile")}`,
  ];
  const taken: string[] = [];
  for (let index = 0; index < pageCount; index++) {
    const page = join(folder, `${index}.html`);
    const picture = join(folder, `${index}.png`);
    await writeFile(page, desktopPage(index));
    await run(["chromium-headless-shell", ...flags, `--screenshot=${picture}`, `file://${page}`]);
    taken.push(picture);
  }
  return taken;
}

function installer(script: string): string {
  return fileURLToPath(new URL(script, import.meta.url));
}
