import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type StartPermit, StartThrottle } from "../../../src/slot/availability/start-throttle.ts";
import { until } from "../../isotovideo/pool.ts";

let folder = "";
let state = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "start-throttle-"));
  state = join(folder, "pool/.openqa-worker");
});
afterEach(() => rm(folder, { recursive: true }));

const settings = { name: "io/heavy", limit: 2, expirationMs: 60_000 };

/** As each slot has its own. */
function throttle(changes: Partial<typeof settings> = {}, limits?: { readonly maxPermitMs: number }) {
  return new StartThrottle({ ...settings, ...changes }, state, limits);
}

async function taken(from: StartThrottle): Promise<StartPermit> {
  const permit = await from.take();
  if (!permit) throw new Error("no permit");
  return permit;
}

async function untilRoom(of: StartThrottle): Promise<void> {
  await until("there is room", async () => (await of.hasRoom()) || undefined);
}

describe("the start throttle", () => {
  test("gives as many permits as its limit, over all slots", async () => {
    const [first, second] = [throttle(), throttle()];
    expect(await second.hasRoom()).toBe(true);
    const permits = [await taken(first), await taken(second)];
    expect(await second.hasRoom()).toBe(false);
    expect(await first.take()).toBeUndefined();
    await permits[0]?.release();
    expect(await second.hasRoom()).toBe(true);
    permits.push(await taken(second));
    for (const permit of permits) await permit.release();
  });

  test("of another name is another one", async () => {
    const mine = throttle({ limit: 1 });
    const permit = await taken(mine);
    const other = await taken(throttle({ limit: 1, name: "other" }));
    expect(await mine.hasRoom()).toBe(false);
    for (const each of [permit, other]) await each.release();
  });

  test("released twice, a permit is released once", async () => {
    const mine = throttle({ limit: 1 });
    const first = await taken(mine);
    await first.release();
    const second = await taken(mine);
    await first.release();
    expect(await mine.hasRoom()).toBe(false);
    await second.release();
  });

  test("takes a permit back a while after the start", async () => {
    const mine = throttle({ limit: 1, expirationMs: 1 });
    (await taken(mine)).started();
    await untilRoom(mine);
  });

  test("takes a permit back after its longest time, without a start or with one that is long ago", async () => {
    const mine = throttle({ limit: 2 }, { maxPermitMs: 1 });
    await taken(mine);
    (await taken(mine)).started();
    const other = throttle({ limit: 1 });
    await untilRoom(other);
  });

  test("does not miss a permit that was released before the start was told", async () => {
    const mine = throttle({ limit: 1, expirationMs: 1 });
    const first = await taken(mine);
    await first.release();
    first.started();
    const second = await taken(mine);
    expect(await mine.hasRoom()).toBe(false);
    await second.release();
  });

  test("counts over all processes, and the permits of one that is KILLed are free", async () => {
    const source = join(import.meta.dir, "../../../src/slot/availability/start-throttle.ts");
    const script = `const { StartThrottle } = await import(${JSON.stringify(source)});
      await new StartThrottle(${JSON.stringify(settings)}, ${JSON.stringify(state)}).take();
      console.log("taken"); setInterval(() => {}, 1000);`;
    const holder = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    await holder.stdout.getReader().read();
    const mine = throttle();
    const permit = await taken(mine);
    expect(await mine.take()).toBeUndefined();
    holder.kill("SIGKILL");
    await holder.exited;
    expect(await mine.hasRoom()).toBe(true);
    await permit.release();
  });

  test("makes its folder, which is open to look at", async () => {
    await (await taken(throttle())).release();
    expect((await stat(state)).mode & 0o777).toBe(0o755);
  });

  test("whose folder cannot be used is an error", async () => {
    await writeFile(join(folder, "pool"), "");
    await expect(throttle().take()).rejects.toThrow(/ENOTDIR|EEXIST/);
  });
});
