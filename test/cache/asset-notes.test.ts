import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readdir, rename, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type AssetVersion,
  allNotes,
  readNotes,
  removeNotes,
  writeNotes,
} from "../../src/cache/asset-notes.ts";
import { type CacheFolder, openCacheFolder } from "../../src/cache/cache-folder.ts";
import { hashFile } from "../../src/cache/hash-file.ts";
import { CacheError } from "../../src/errors.ts";
import { silentLog } from "../../src/ops/log.ts";

let folder: CacheFolder;
beforeEach(async () => {
  folder = await openCacheFolder(await mkdtemp(join(tmpdir(), "asset-notes-")));
});
afterEach(() => rm(folder.directory, { recursive: true }));

const path = "/cache/web-ui/opensuse.iso";
const fetched: AssetVersion = {
  etag: '"5f-abc"',
  sizeBytes: 5_000_000_000,
  mtimeNs: 1_795_536_974_123_456_789n,
  sha256: "ab".repeat(32),
};
const adopted: AssetVersion = { ...fetched, etag: undefined, sha256: undefined };
const context = { signal: new AbortController().signal, log: silentLog };

test("what was written is read, to the nanosecond, and in order", async () => {
  await writeNotes(folder, path, [adopted, fetched]);
  expect(await readNotes(folder, path)).toEqual([adopted, fetched]);
  await writeNotes(folder, path, [fetched]);
  expect(await readNotes(folder, path)).toEqual([fetched]);
  expect(await readdir(folder.notesFolder)).toHaveLength(1);
});

test("nothing is known of an asset without notes, and of one whose notes were removed", async () => {
  expect(await readNotes(folder, path)).toEqual([]);
  await writeNotes(folder, path, [fetched]);
  await removeNotes(folder, path);
  await removeNotes(folder, path);
  expect(await readNotes(folder, path)).toEqual([]);
});

test("notes that are cut off, foreign or of another asset count as none", async () => {
  await writeNotes(folder, path, [fetched]);
  const [name = ""] = await readdir(folder.notesFolder);
  const file = join(folder.notesFolder, name);
  for (const text of ["", '{"path":', "{}", '{"path":"/x","versions":[{"sizeBytes":1,"mtimeNs":"soon"}]}']) {
    await writeFile(file, text);
    expect(await readNotes(folder, path)).toEqual([]);
  }
  await writeNotes(folder, "/other", [fetched]);
  const other = (await readdir(folder.notesFolder)).find((each) => each !== name) ?? "";
  await rename(join(folder.notesFolder, other), file);
  expect(await readNotes(folder, path)).toEqual([]);
  expect(await Array.fromAsync(allNotes(folder))).toEqual([]);
});

test("all notes are found, temporary files are none, and those that nobody writes any more go", async () => {
  await writeNotes(folder, path, [fetched]);
  await writeNotes(folder, "/other", [adopted]);
  const young = join(folder.notesFolder, "a.new");
  const old = join(folder.notesFolder, "b.new");
  for (const file of [young, old]) await writeFile(file, '{"path":"/x","versions":[]}');
  const twoHoursAgo = Date.now() / 1000 - 7200;
  await utimes(old, twoHoursAgo, twoHoursAgo);
  const notes = await Array.fromAsync(allNotes(folder));
  expect(notes.map((each) => each.path).sort()).toEqual([path, "/other"].sort());
  expect(await readdir(folder.notesFolder)).toContain("a.new");
  expect(await readdir(folder.notesFolder)).not.toContain("b.new");
});

test("notes that are written at the same time leave one of them whole", async () => {
  const versions = Array.from({ length: 20 }, (_, sizeBytes) => ({ ...fetched, sizeBytes }));
  await Promise.all(versions.map((version) => writeNotes(folder, path, [version])));
  const [version] = await readNotes(folder, path);
  expect(versions).toContainEqual(version ?? adopted);
  expect(await readdir(folder.notesFolder)).toHaveLength(1);
});

test("notes that cannot be written are an error that names asset and folder", async () => {
  await rm(folder.notesFolder, { recursive: true });
  const written = writeNotes(folder, path, [fetched]);
  await expect(written).rejects.toThrow(CacheError);
  await expect(written).rejects.toThrow(`"${path}" in ${folder.notesFolder}: ENOENT`);
});

test("a file is hashed whole, whatever its length", async () => {
  const file = join(folder.directory, "asset");
  for (const length of [0, 1, 1024 * 1024, 3 * 1024 * 1024 + 7]) {
    const content = Buffer.alloc(length, "openQA");
    await writeFile(file, content);
    expect(await hashFile(file, context)).toBe(new Bun.CryptoHasher("sha256").update(content).digest("hex"));
  }
});

test("hashing ends with the signal, and names a file that cannot be read", async () => {
  const file = join(folder.directory, "asset");
  const reason = new Error("the job was cancelled");
  await writeFile(file, "x");
  await expect(hashFile(file, { ...context, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await expect(hashFile(`${file}2`, context)).rejects.toThrow(`Cannot read "${file}2"`);
});
