import { expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { nothingFound, qemuFailureIn, searchLog } from "../../src/job/log-search.ts";
import { makeFifo, TemporaryPool } from "../results/temporary-pool.ts";

const never = new AbortController().signal;
const kvm = "Failed to allocate KVM HPT of order 25 (try smaller maxmem?): Cannot allocate memory";
const smbd = "Could not find '/usr/sbin/smbd', please install it";

const lines: readonly (readonly [string, string | undefined])[] = [
  [`[warn] !!! : qemu-system-ppc64: ${kvm}.`, kvm],
  [`[debug] QEMU: qemu-system-x86_64: ${smbd}.`, smbd],
  [`${kvm} Cannot allocate memory!`, `${kvm} Cannot allocate memory`],
  [`${smbd} ${kvm}`, smbd],
  ["Failed to allocate KVM Cannot allocate memory", undefined],
  ["Could not find 'samba', please install it", undefined],
  ["smbd Could not find x, please install it", undefined],
  ["please install it: Could not find smbd", undefined],
  ["all is well", undefined],
];
for (const [line, expected] of lines)
  test(`the failure in "${line}"`, () => expect(qemuFailureIn(line)).toBe(expected!));

test("a log is searched to its end, over the bounds of chunks", async () => {
  for (const before of [0, 256 * 1024 - 20, 256 * 1024 - 60, 1_000_000]) {
    await using pool = await TemporaryPool.make();
    const text = `${"x".repeat(99)}\n`.repeat(Math.ceil(before / 100)).slice(0, before);
    await pool.write({ "autoinst-log.txt": `${text}\n${kvm}\n${smbd}\nNo space left on device` });
    const path = pool.path("autoinst-log.txt");
    expect(await searchLog(path, never)).toEqual({ isDiskFull: true, qemuFailure: kvm });
  }
});

test("the failure must be in one line", async () => {
  await using pool = await TemporaryPool.make({ "autoinst-log.txt": kvm.replace(" (try", "\n(try") });
  expect(await searchLog(pool.path("autoinst-log.txt"), never)).toEqual(nothingFound);
});

test("lines made to keep the search busy do not", async () => {
  const line = "Could not find smbd".repeat(2_000_000);
  await using pool = await TemporaryPool.make({ "autoinst-log.txt": `${line}\n${smbd}` });
  const start = performance.now();
  expect(await searchLog(pool.path("autoinst-log.txt"), never)).toEqual({
    isDiskFull: false,
    qemuFailure: smbd,
  });
  expect(performance.now() - start).toBeLessThan(5000);
});

test("a log that is missing, a link or a FIFO says nothing", async () => {
  await using pool = await TemporaryPool.make();
  await symlink(join(pool.outside, "secret"), pool.path("link"));
  await makeFifo(pool.path("fifo"));
  for (const name of ["missing", "link", "fifo"])
    expect(await searchLog(pool.path(name), never)).toEqual(nothingFound);
});

test("the search ends when it is aborted", async () => {
  await using pool = await TemporaryPool.make({ "autoinst-log.txt": "x" });
  const gone = new Error("gone");
  expect(searchLog(pool.path("autoinst-log.txt"), AbortSignal.abort(gone))).rejects.toBe(gone);
});
