import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { readFile, stat, symlink, writeFile } from "node:fs/promises";
import { fifoChunks, makeReportFifo, openReportFifo } from "../../src/isotovideo/report-fifo.ts";
import { Pool } from "./pool.ts";

let pool: Pool;
beforeEach(async () => {
  pool = await Pool.create();
  await pool.makeFolder(".openqa-worker");
});
afterEach(() => pool.remove());

const path = ".openqa-worker/reports";

async function readAll(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = "";
  for await (const chunk of chunks) text += new TextDecoder().decode(chunk);
  return text;
}

describe("the FIFO of a supervisor's reports", () => {
  test("is for nobody else to read", async () => {
    await using fifo = await makeReportFifo(pool.folder);
    expect((await fifo.stat()).isFIFO()).toBe(true);
    expect((await fifo.stat()).mode & 0o777).toBe(0o600);
  });

  test("takes the place of whatever is there, and leaves alone where a link leads", async () => {
    await writeFile(pool.path("other"), "other");
    await symlink(pool.path("other"), pool.path(path));
    await using fifo = await makeReportFifo(pool.folder);
    expect((await stat(pool.path(path))).ino).toBe((await fifo.stat()).ino);
    expect(await pool.read("other")).toBe("other");
  });

  test("is not read over a link", async () => {
    await using other = await makeReportFifo(pool.folder);
    await pool.makeFolder("other/.openqa-worker");
    await symlink(pool.path(path), pool.path(`other/${path}`));
    expect(await openReportFifo(pool.path("other")).catch((thrown) => thrown.code)).toBe("ELOOP");
    expect((await other.stat()).isFIFO()).toBe(true);
  });

  test("that nobody writes to has ended", async () => {
    await (await makeReportFifo(pool.folder)).close();
    expect(await readAll(fifoChunks(await openReportFifo(pool.folder)))).toBe("");
    expect(await pool.openFiles()).toEqual([]);
  });

  test("tells what was written to it before, and ends with the last who can write", async () => {
    const fifo = await makeReportFifo(pool.folder);
    await fifo.write("first ");
    const chunks = fifoChunks(await openReportFifo(pool.folder));
    const { value } = await chunks.next();
    expect(String(Buffer.from(value ?? []))).toBe("first ");
    const writer = Bun.spawn(["/bin/sh", "-c", "read _; echo second"], {
      stdio: ["pipe", fifo.fd, "inherit"],
    });
    await fifo.close();
    const rest = readAll(chunks);
    writer.stdin.write("go on\n");
    writer.stdin.end();
    expect(await rest).toBe("second\n");
    expect(await pool.openFiles()).toEqual([]);
  });

  test("is closed when its reader has heard enough", async () => {
    await using fifo = await makeReportFifo(pool.folder);
    await fifo.write("enough");
    for await (const _ of fifoChunks(await openReportFifo(pool.folder))) break;
    expect(await pool.openFiles()).toEqual([pool.path(path)]);
  });

  test("may be waited for by many slots: files are still read meanwhile", async () => {
    const fifo = await makeReportFifo(pool.folder);
    const readers = [];
    for (let slot = 0; slot < 32; slot++)
      readers.push(readAll(fifoChunks(await openReportFifo(pool.folder))));
    await writeFile(pool.path("a"), "a file");
    expect(await readFile(pool.path("a"), "utf8")).toBe("a file");
    await fifo.close();
    expect(await Promise.all(readers)).toEqual(readers.map(() => ""));
  });
});
