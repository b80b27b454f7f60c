// Writers are killed at any moment: the index always opens, no good asset is lost, no bad one is served, no claim and no
// pin outlives its holder.
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { partialPath } from "../../src/cache/cache-folder.ts";
import { tryClaim } from "../../src/cache/locks/claims.ts";
import { allPins } from "../../src/cache/locks/pins.ts";
import { recordingContext } from "../job/job-host.ts";
import { etagOf } from "./asset-server.ts";
import { TemporaryCache } from "./temporary-cache.ts";

const rounds = 25;
const writersPerRound = 2;
const names = ["a.iso", "b.iso", "c.qcow2", "d.img", "e.img", "f.iso"];
const sizeBytes = 200_000;

test(`after ${rounds * writersPerRound} kills`, async () => {
  await using here = await TemporaryCache.make();
  const valid = new Map(names.map((name) => [name, new Set<string>()]));
  const renew = (name: string) => {
    const content = crypto.getRandomValues(new Uint8Array(65_536));
    const whole = new Uint8Array(Buffer.concat(Array(3).fill(content)).subarray(0, sizeBytes));
    here.server.put(`/${name}`, whole);
    valid.get(name)?.add(sha256(whole));
  };
  for (const name of names) renew(name);
  here.server.put("/precious.iso", "precious");
  const cache = await here.open();
  const kept = await cache.get(here.request("precious.iso"), recordingContext());

  for (let round = 0; round < rounds; round++) {
    const writers = Array.from({ length: writersPerRound }, () => startWriter(here));
    await Promise.all(writers.map((writer) => writer.hasStarted));
    renew(names[round % names.length] ?? "");
    await Bun.sleep(Math.random() * 60);
    for (const writer of writers) writer.kill();
    for (const { name, sha256: got } of (await Promise.all(writers.map((writer) => writer.ended))).flat())
      expect(valid.get(name)).toContain(got);
    for (const name of names) {
      const claim = await tryClaim(cache.folder, partialPath(cache.folder, here.path(name)));
      expect(claim).toBeDefined();
      await claim?.release();
    }
    expect(await allPins(cache.folder)).toMatchObject([{ path: kept.path }]);
  }

  await kept.pin.release();
  const rows = await cache.index.rows(recordingContext());
  expect(rows.map(({ path }) => basename(path))).toContain("precious.iso");
  for (const { path, etag } of rows) expect(etagOf(await readFile(path))).toBe(etag ?? "");
  const before = here.server.served.length;
  for (const name of ["precious.iso", ...names]) {
    const { path, pin } = await cache.get(here.request(name), recordingContext());
    expect(sha256(await readFile(path))).toBe(sha256(here.server.contents.get(`/${name}`)!));
    await pin.release();
  }
  expect(here.server.served[before]).toMatchObject({ path: "/precious.iso", status: 304 });
}, 120_000);

function startWriter(here: TemporaryCache) {
  const script = new URL("cache-writer.ts", import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, script, here.directory, here.server.url, ...names], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const started = Promise.withResolvers<void>();
  const read = async () => {
    let text = "";
    for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += piece;
      if (text.includes("started")) started.resolve();
    }
    started.reject(new Error("the writer has ended by itself"));
    return text
      .split("\n")
      .slice(1, -1)
      .map((line) => {
        const [name = "", hash = ""] = line.split(" ");
        return { name, sha256: hash };
      });
  };
  return { hasStarted: started.promise, ended: read(), kill: () => child.kill("SIGKILL") };
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
