// sharp inside the built executable: where its picture process gets the library from, on hosts of all kinds.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import {
  chmod,
  chown,
  copyFile,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  symlink,
  truncate,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { optimiseOne } from "../support/one-picture.ts";
import { executable } from "../support/temporary-worker.ts";

const testMs = 60_000;
/** The executable by itself: no node_modules in any folder above it. */
let alone: string;
beforeAll(async () => {
  alone = await mkdtemp(join(tmpdir(), "alone-"));
  await copyFile(executable, join(alone, "openqa-worker"));
});
afterAll(() => rm(alone, { recursive: true }));

let folder: string;
let home: string;
let temporary: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "embedded-sharp-"));
  home = join(folder, "home");
  temporary = join(folder, "tmp");
  for (const path of [home, temporary, join(folder, "empty")]) await mkdir(path);
});
afterEach(() => rm(folder, { recursive: true }));

const inHome = () => join(home, ".cache/openqa-worker");
const inTemporary = (uid = process.geteuid?.()) => join(temporary, `openqa-worker-${uid}`);

interface Run {
  readonly env?: Readonly<Record<string, string>>;
  /** Run by a shell in a mount namespace of its own before the program starts. */
  readonly mounts?: string;
}
let pools = 0;

/** Has a picture optimised. Returns the path of libvips in that process, as the kernel tells it. */
async function usedLibrary({ env = { HOME: home }, mounts }: Run = {}): Promise<string> {
  const pool = join(folder, `pool-${pools++}`);
  await mkdir(pool);
  const asRoot = process.geteuid?.() === 0 ? [] : ["--map-root-user"];
  const launcher =
    mounts === undefined ? [] : ["unshare", "--mount", ...asRoot, "sh", "-ec", `${mounts}\nexec "$@"`, "sh"];
  const { answer, maps } = await optimiseOne([...launcher, join(alone, "openqa-worker"), "__pictures"], {
    cwd: join(folder, "empty"),
    env: { TMPDIR: temporary, ...env },
    pool,
  });
  expect(answer.outcome).toBe("smaller");
  return /\S*(?:libvips-cpp\.so|memfd:libvips)\S*/.exec(maps)?.[0] ?? "none";
}

test(
  "from an empty folder, without node_modules: it is unpacked below the home, once",
  async () => {
    const first = await usedLibrary();
    expect(first).toStartWith(`${inHome()}/sharp-linux-`);
    const { ino, mtimeMs } = await lstat(first);
    expect(await usedLibrary()).toBe(first);
    expect(await lstat(first)).toMatchObject({ ino, mtimeMs });
    expect(await readdir(join(folder, "empty"))).toEqual([]);
    expect(await readdir(temporary)).toEqual([]);
  },
  testMs,
);

test(
  "XDG_CACHE_HOME comes before the home, TMPDIR is used without either",
  async () => {
    const caches = join(folder, "caches");
    expect(await usedLibrary({ env: { HOME: home, XDG_CACHE_HOME: caches } })).toStartWith(
      `${caches}/openqa-worker/sharp-linux-`,
    );
    expect(await readdir(home)).toEqual([]);
    expect(await usedLibrary({ env: {} })).toStartWith(inTemporary());
  },
  testMs,
);

test(
  "a library that was cut off is made again before it is loaded",
  async () => {
    const library = await usedLibrary();
    const { size } = await lstat(library);
    await truncate(library, size / 2);
    expect(await usedLibrary()).toBe(library);
    expect((await lstat(library)).size).toBe(size);
  },
  testMs,
);

test(
  "ten processes at first use all get it, and leave one",
  async () => {
    const used = await Promise.all(Array.from({ length: 10 }, () => usedLibrary()));
    for (const library of used) expect(library).toStartWith(inHome());
    expect(await readdir(inHome())).toHaveLength(1);
  },
  testMs,
);

describe("the next place is used", () => {
  const refused: Record<string, () => Promise<unknown>> = {
    "when others can write to the folder": async () => {
      await mkdir(inHome(), { recursive: true });
      await chmod(inHome(), 0o777);
    },
    "when the folder is a link": async () => {
      await mkdir(join(folder, "elsewhere"), { mode: 0o700 });
      await mkdir(join(home, ".cache"));
      await symlink(join(folder, "elsewhere"), inHome());
    },
    "when the home is missing": () => rm(home, { recursive: true }),
  };
  // Without root no folder can be given away; test/pictures/native shows it with one that is there.
  if (process.geteuid?.() === 0)
    refused["when the folder belongs to somebody else"] = async () => {
      await mkdir(inHome(), { recursive: true });
      await chown(inHome(), 12345, 12345);
    };
  for (const [name, prepare] of Object.entries(refused))
    test(
      name,
      async () => {
        await prepare();
        expect(await usedLibrary()).toStartWith(inTemporary());
      },
      testMs,
    );

  const mountings = {
    "when the home is read-only": "ro",
    "when the home is mounted noexec": "noexec",
    "when the home is full": "size=4m",
  };
  for (const [name, options] of Object.entries(mountings))
    test(
      name,
      async () => {
        const mounts = `mount -t tmpfs -o ${options} tmpfs '${home}'`;
        // Who mounts is root, at least in a namespace of its own.
        expect(await usedLibrary({ mounts })).toStartWith(inTemporary(0));
      },
      testMs,
    );
});

describe("it is kept in memory", () => {
  for (const options of ["ro", "noexec", "size=4m"])
    test(
      `when neither the home nor TMPDIR can take it (${options})`,
      async () => {
        const mounts = `for path in '${home}' '${temporary}'; do mount -t tmpfs -o ${options} tmpfs "$path"; done`;
        expect(await usedLibrary({ mounts })).toMatch(/^\/memfd:libvips-cpp\.so/);
      },
      testMs,
    );

  test(
    "when the folder that it was unpacked to is mounted noexec later, and there is no other",
    async () => {
      await usedLibrary();
      const mounts = `
        mount --bind '${home}' '${home}'; mount -o remount,bind,noexec '${home}'
        mount -t tmpfs -o ro tmpfs '${temporary}'`;
      expect(await usedLibrary({ mounts })).toMatch(/^\/memfd:libvips-cpp\.so/);
    },
    testMs,
  );
});

test(
  "what the home has is used when it is read-only",
  async () => {
    const library = await usedLibrary();
    const mounts = `mount --bind '${home}' '${home}'; mount -o remount,bind,ro '${home}'`;
    expect(await usedLibrary({ mounts })).toBe(library);
  },
  testMs,
);
