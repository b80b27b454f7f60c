import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { faultOf, IndexFault, indexError } from "../../../src/cache/index/index-faults.ts";
import { CacheError } from "../../../src/errors.ts";

const failure = (code: string, text: string) => Object.assign(new Error(text), { code });

test.each([
  ["SQLITE_CORRUPT", "database disk image is malformed", "damaged"],
  ["SQLITE_CORRUPT_INDEX", "database disk image is malformed", "damaged"],
  ["SQLITE_NOTADB", "file is not a database", "damaged"],
  ["SQLITE_ERROR", "no such table: assets", "damaged"],
  ["SQLITE_ERROR", "no such column: pending", "damaged"],
  ["SQLITE_ERROR", "cannot start a transaction within a transaction", undefined],
  ["SQLITE_READONLY_DBMOVED", "attempt to write a readonly database", "replaced"],
  ["SQLITE_IOERR_DELETE_NOENT", "disk I/O error", "replaced"],
  ["ENOENT", "no such file or directory", "missing"],
  ["SQLITE_BUSY", "database is locked", undefined],
  ["SQLITE_BUSY_RECOVERY", "database is locked", undefined],
  ["SQLITE_LOCKED", "database table is locked", undefined],
  ["SQLITE_FULL", "database or disk is full", undefined],
  ["SQLITE_IOERR_READ", "disk I/O error", undefined],
  ["SQLITE_CANTOPEN", "unable to open database file", undefined],
  ["SQLITE_READONLY", "attempt to write a readonly database", undefined],
  ["EACCES", "permission denied", undefined],
] as const)("%s (%s): the file is %p (field lesson 14)", (code, text, fault) => {
  expect(faultOf(failure(code, text))).toBe(fault);
});

test("what the index itself has found is told as it is", () => {
  expect(faultOf(new IndexFault("damaged", "wrong page"))).toBe("damaged");
  expect(faultOf(new Error("anything"))).toBeUndefined();
});

test.each([
  ["SQLITE_FULL", "database or disk is full", /^No space left on the disk of the index \/none\/cache.sqlite/],
  ["ENOSPC", "no space left on device", /^No space left on the disk of the index/],
  ["SQLITE_BUSY", "database is locked", /is locked: another process holds it for over 70 ms$/],
  ["SQLITE_READONLY", "attempt to write", /cannot be written .*the worker's user has to be able/],
  ["EACCES", "permission denied", /cannot be written .*the worker's user has to be able/],
  [
    "SQLITE_IOERR_READ",
    "disk I/O error",
    /index \/none\/cache.sqlite cannot be used: disk I\/O error \(SQLITE_IOERR_READ\)$/,
  ],
])("%s (%s) is told as %p", async (code, text, told) => {
  const error = await indexError("/none/cache.sqlite", 70, failure(code, text));
  expect(error).toBeInstanceOf(CacheError);
  expect(error.message).toMatch(told);
});

test("SQLite calls a full disk what is expected here", () => {
  using database = new Database(":memory:");
  database.run("CREATE TABLE a(x)");
  database.run("PRAGMA max_page_count = 3");
  const fill = () => {
    for (;;) database.run("INSERT INTO a VALUES (zeroblob(3000))");
  };
  expect(fill).toThrow(expect.objectContaining({ code: "SQLITE_FULL" }));
});
