import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AssetCaches } from "../../../src/cache/worker/asset-caches.ts";
import { Availability, type AvailabilityPlace } from "../../../src/slot/availability/availability.ts";
import { type StartPermit, StartThrottle } from "../../../src/slot/availability/start-throttle.ts";
import { lockPool } from "../../../src/slot/pool-lock.ts";
import { until } from "../../isotovideo/pool.ts";
import { JobHost, recordingContext } from "../../job/job-host.ts";
import { takeStockLock } from "../../support/stock-lock.ts";
import { FakePrograms } from "../fake-programs.ts";
import { startFakeQemu } from "../fake-qemu.ts";

let cleanUp: AsyncDisposableStack;
beforeEach(() => {
  cleanUp = new AsyncDisposableStack();
});
afterEach(() => cleanUp.disposeAsync());

interface SlotOptions {
  readonly workersIni?: string;
  readonly env?: Record<string, string>;
  readonly nodeName?: string;
  readonly changes?: Partial<AvailabilityPlace>;
}

/** A slot whose load is low. */
async function slot({ workersIni = "", env = {}, nodeName = "host", changes }: SlotOptions = {}) {
  const variables = { OPENQA_LOAD_AVG_FILE: "/dev/null/none", ...env };
  const host = cleanUp.use(await JobHost.make({}, `[global]\n${workersIni}`, variables));
  const lock = await lockPool(host.pool);
  cleanUp.defer(() => lock.release());
  const stop = new AbortController();
  cleanUp.defer(() => stop.abort(new Error("stopped")));
  const context = recordingContext(stop.signal);
  const { settings } = host;
  const place = {
    settings,
    program: { ...host.program, nodeName },
    caches: cleanUp.use(new AssetCaches()),
    lock,
    throttle: settings.throttle && new StartThrottle(settings.throttle, settings.stateDirectory),
    onRoom: () => {},
    ...changes,
  };
  return { availability: new Availability(place, context), host, place, stop, lines: context.lines };
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "availability-"));
  cleanUp.defer(() => rm(folder, { recursive: true }));
  return folder;
}

test("a slot that nothing keeps from working is available, under its address", async () => {
  const { availability, lines } = await slot();
  expect(await availability.check()).toBeUndefined();
  expect(availability.workerHostname).toBe("localhost");
  expect(lines).toEqual([]);
});

test("of several reasons the first counts, and only a lost pool lock is fatal (field lesson 29)", async () => {
  const folder = await temporaryFolder();
  const [loads, cache] = [join(folder, "loads"), join(folder, "cache")];
  await writeFile(loads, "50 40 30 1/1 1\n");
  await writeFile(cache, "no folder");
  const programs = cleanUp.use(await FakePrograms.make());
  await programs.put("busctl", "[ $6 = NameHasOwner ] && echo b false && exit; echo not activatable; exit 1");
  const program = { nodeName: "localhost", env: programs.env };
  const keys = `HOST = http://remote.example\nWORKER_CLASS = tap\nCACHEDIRECTORY = ${cache}\nLOCK_NAME = io\nLOCK_LIMIT = 1\n`;
  const { availability, host, place } = await slot({
    workersIni: keys,
    env: { OPENQA_LOAD_AVG_FILE: loads, OPENQA_BASE_PORT: "1" },
    changes: { program },
  });
  const other = await place.throttle?.take();
  await availability.takePermit();
  await rm(host.pool, { recursive: true });
  await mkdir(host.pool);
  const stock = await takeStockLock(host.pool);
  const qemu = cleanUp.use(await startFakeQemu(folder));
  await host.write({ "pool/1/qemu.pid": `${qemu.pid}\n` });

  const steps: readonly (readonly [RegExp, () => unknown])[] = [
    [/^Unable to lock pool directory: .*\/pool\/1 already locked/, () => stock.release()],
    [/^Worker cache not available/, () => rm(cache)],
    [/^A QEMU instance using the current pool directory is still running \(PID: \d+\)$/, () => qemu.end()],
    [
      /^Unable to determine worker address \(WORKER_HOSTNAME\)$/,
      () => Object.assign(program, { nodeName: "host.example" }),
    ],
    [
      /^D-Bus service 'org\.opensuse\.os_autoinst\.switch' is not running$/,
      () => programs.put("busctl", "echo b true"),
    ],
    [/^The average load \(50 40 30\) is exceeding/, () => writeFile(loads, "0 0 0 1/1 1\n")],
    [/^Limited by configured lock 'io'$/, () => other?.release()],
  ];
  for (const [reason, mend] of steps) {
    const found = await availability.check();
    expect(found?.reason).toMatch(reason);
    expect(found?.isFatal).toBe(found?.reason.startsWith("Unable to lock") === true);
    expect(availability.last).toEqual(found);
    await mend();
  }
  expect(await availability.check()).toBeUndefined();
  expect(availability.last).toBeUndefined();
  expect(availability.workerHostname).toBe("host.example");
  expect(await Bun.file(join(host.pool, "qemu.pid")).exists()).toBe(false);
});

test("a change of the reason is logged, once, and that there is none any more", async () => {
  const folder = await temporaryFolder();
  const loads = join(folder, "loads");
  const { availability, lines } = await slot({ env: { OPENQA_LOAD_AVG_FILE: loads } });
  for (const text of ["50 40 30", "50 40 30", "60 40 30", "0 0 0", "0 0 0"]) {
    await writeFile(loads, text);
    await availability.check();
  }
  expect(lines.map((line) => line.slice(0, 35))).toEqual([
    "[warn] The average load (50 40 30) ",
    "[warn] The average load (60 40 30) ",
    "[info] The slot can take jobs again",
  ]);
});

test("with --no-cleanup a stale pid file stays", async () => {
  const { host, place } = await slot();
  await host.write({ "pool/1/qemu.pid": "0\n" });
  const settings = { ...host.settings, cleansPool: false };
  const kept = new Availability({ ...place, settings }, recordingContext());
  expect(await kept.check()).toBeUndefined();
  expect(await Bun.file(join(host.pool, "qemu.pid")).exists()).toBe(true);
});

describe("a slot whose starts are throttled", () => {
  const workersIni = "LOCK_NAME = io\nLOCK_LIMIT = 1\n";
  const env = { OPENQA_WORKER_EPHEMERAL_RECHECK_INTERVAL: "0.01" };
  const limited = { reason: "Limited by configured lock 'io'", isFatal: false };

  async function permitOf(availability: Availability): Promise<StartPermit> {
    const taken = await availability.takePermit();
    if ("reason" in taken) throw new Error(taken.reason);
    return taken;
  }

  test("has a permit for a job, and is available to others of its own once that is back", async () => {
    const { availability } = await slot({ workersIni, env });
    const permit = await permitOf(availability);
    expect(await availability.check()).toBeUndefined();
    expect(await availability.takePermit()).toEqual(limited);
    expect(availability.last).toEqual(limited);
    expect(await availability.check()).toEqual(limited);
    await permit.release();
    expect(await availability.check()).toBeUndefined();
  });

  test("that was refused tells as soon as there is room, once", async () => {
    const room = Promise.withResolvers<void>();
    let count = 0;
    const onRoom = () => {
      count++;
      room.resolve();
    };
    const { availability, place } = await slot({ workersIni, env, changes: { onRoom } });
    const other = await place.throttle?.take();
    for (let tries = 0; tries < 3; tries++) expect(await availability.takePermit()).toEqual(limited);
    expect(count).toBe(0);
    await other?.release();
    await room.promise;
    expect(await availability.check()).toBeUndefined();
    await (await permitOf(availability)).release();
    expect(count).toBe(1);
  });

  test("that takes a job after all, or is stopped, tells nobody", async () => {
    const told: string[] = [];
    const gate = { isOpen: false };
    class GatedThrottle extends StartThrottle {
      override async hasRoom(): Promise<boolean> {
        return gate.isOpen && (await super.hasRoom());
      }
    }
    const throttle = new GatedThrottle(
      { name: "io", limit: 1, expirationMs: 60_000 },
      await temporaryFolder(),
    );
    const slotNamed = (name: string) =>
      slot({ workersIni, env, changes: { throttle, onRoom: () => told.push(name) } });
    const slots = await Promise.all(["takes", "stopped", "told"].map(slotNamed));
    const held = await throttle.take();
    for (const { availability } of slots) await availability.takePermit();
    const [takes, stopped] = slots;
    stopped?.stop.abort(new Error("stopped"));
    await held?.release();
    await (await permitOf(takes!.availability)).release();
    gate.isOpen = true;
    await until("a slot is told", async () => told[0]);
    expect(told).toEqual(["told"]);
  });

  test("whose permits cannot be used is limited, and says why", async () => {
    const { availability, host } = await slot({ workersIni, env });
    await writeFile(host.settings.stateDirectory, "no folder");
    expect((await availability.takePermit()) as object).toMatchObject({
      reason: expect.stringMatching(/^Limited by configured lock 'io' \(E\w+: /),
    });
    expect((await availability.check())?.reason).toContain("Limited by configured lock 'io'");
    await rm(host.settings.stateDirectory);
    expect(await availability.check()).toBeUndefined();
  });
});

test("a slot that is not throttled has as many permits as it wants", async () => {
  const { availability } = await slot();
  for (let count = 0; count < 2; count++) {
    const permit = await availability.takePermit();
    expect(permit).not.toHaveProperty("reason");
    if ("started" in permit) permit.started();
  }
});

describe("a cache whose disk hangs (field lesson 13)", () => {
  class HangingCaches extends AssetCaches {
    override of(): Promise<never> {
      return new Promise(() => {});
    }
  }

  async function onHangingDisk() {
    const env = { OPENQA_WORKER_CACHE_SERVICE_CHECK_INACTIVITY_TIMEOUT: "0.01", OPENQA_BASE_PORT: "1" };
    const changes = { caches: new HangingCaches() };
    return await slot({ workersIni: "CACHEDIRECTORY = cache\n", env, changes });
  }

  test("makes the slot unavailable, after a while", async () => {
    const { availability } = await onHangingDisk();
    expect((await availability.check())?.reason).toMatch(
      /^Worker cache not available: .*cache does not answer within 5/,
    );
  }, 20_000);

  test("does not keep the worker from stopping (field lesson 12)", async () => {
    const { availability, stop } = await onHangingDisk();
    const checked = availability.check();
    stop.abort(new Error("stopped"));
    expect((await checked)?.reason ?? "").not.toContain("cache");
  });
});
