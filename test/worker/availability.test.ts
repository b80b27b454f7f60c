// When a slot takes jobs and when it says that it cannot, what runs beside jobs, and when it has done its work, on the
// built executable.
import { describe, expect, test } from "bun:test";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { FakePrograms } from "../slot/fake-programs.ts";
import { startFakeQemu } from "../slot/fake-qemu.ts";
import type { FakeWebUi, RecordedMessage } from "../support/fake-web-ui.ts";
import { type StockLock, takeStockLock } from "../support/stock-lock.ts";
import { plainJob, type TemporaryWorker, type TemporaryWorkerOptions } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  moduleReported,
  openFolder,
  openHost,
  openWebUi,
  openWorker,
  rejected,
  stopHostsAfterEach,
} from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 60_000;
const longJob = { ...plainJob, FAKE_SECONDS: "0.5", FAKE_LINGER: "60" };

/** Without regular statuses: whatever says that a slot is free again was sent for that. */
const rareStatuses = { STATUS_MIN_INTERVAL: 3000, STATUS_MAX_INTERVAL: 3000 };

/** Id of the worker of a slot, when that has said that it is free. */
async function workerOf(ui: FakeWebUi, instance: number): Promise<number> {
  const isOf = (id: number) => ui.state.workers.get(id)?.capabilities.get("instance") === String(instance);
  return (await ui.message(({ workerId, value }) => isOf(workerId) && value["status"] === "free")).workerId;
}

function status(
  ui: FakeWebUi,
  workerId: number,
  wanted: "free" | "broken",
  from = 0,
): Promise<RecordedMessage> {
  return ui.message((message) => message.workerId === workerId && message.value["status"] === wanted, {
    from,
  });
}

/** A worker that reads its load, which nothing is wrong with, from a file. */
async function withLoads(options: TemporaryWorkerOptions = {}) {
  const loads = join(await openFolder(), "loads");
  await writeFile(loads, "0 0 0 1/1 1\n");
  const host = await openHost({
    ...options,
    global: { CRITICAL_LOAD_AVG_THRESHOLD: 1, ...options.global },
    env: { OPENQA_LOAD_AVG_FILE: loads },
  });
  return { ...host, loads };
}

/** A stock worker has the lock from now on: a file that takes the place of the worker's. */
async function takePoolFrom(worker: TemporaryWorker): Promise<StockLock> {
  const elsewhere = join(worker.folder, "elsewhere");
  await mkdir(elsewhere);
  const stock = await takeStockLock(elsewhere);
  await rename(join(elsewhere, ".locked"), join(worker.pool(), ".locked"));
  return stock;
}

describe("LOCK_NAME", () => {
  const throttled = { LOCK_NAME: "io", LOCK_LIMIT: 1, ...rareStatuses };
  const reason = "Limited by configured lock 'io'";

  /** The second slot has to wait for the job of the first. */
  async function expectTurns(ui: FakeWebUi): Promise<void> {
    const [first, second] = [await workerOf(ui, 1), await workerOf(ui, 2)];
    const job = ui.offer(longJob, first);
    await ui.message({ type: "accepted", jobid: job.id });
    const refused = ui.offer(plainJob, second);
    const { index, value } = await rejected(ui, refused.id);
    expect(value["reason"]).toBe(reason);
    const broken = await status(ui, second, "broken");
    expect(broken.value["reason"]).toBe(reason);
    expect(broken.index).toBeLessThan(index);
    await moduleReported(ui, job);
    const end = ui.now;
    ui.cancel(job);
    await status(ui, second, "free", end);
    expect(job.state).toBe("done");
    await finishesNextJob(ui, second);
  }

  test(
    "lets the slots of one process start jobs in turn; who was refused is free as soon as it would not be",
    async () => {
      const ui = await openWebUi();
      await openWorker(ui, { instances: "1-2", global: { ...throttled, LOCK_EXPIRATION: 600 } });
      await expectTurns(ui);
    },
    testMs,
  );

  test(
    "lets the slots of several processes start jobs in turn",
    async () => {
      const ui = await openWebUi();
      const global = { ...throttled, LOCK_EXPIRATION: 600 };
      const { folder } = await openWorker(ui, { instances: "1", global });
      await openWorker(ui, { instances: "2", global, env: { OPENQA_BASEDIR: folder } });
      await expectTurns(ui);
    },
    testMs,
  );

  test(
    "counts a job only until a while after isotovideo has started",
    async () => {
      const ui = await openWebUi();
      await openWorker(ui, { instances: "1-2", global: { ...throttled, LOCK_EXPIRATION: 0.2 } });
      const [first, second] = [await workerOf(ui, 1), await workerOf(ui, 2)];
      const job = ui.offer(longJob, first);
      await moduleReported(ui, job);
      await finishesNextJob(ui, second);
      expect(job.state).toBe("running");
    },
    testMs,
  );

  test(
    "is free for others when a worker is KILLed",
    async () => {
      const ui = await openWebUi();
      const global = { ...throttled, LOCK_EXPIRATION: 600 };
      const one = await openWorker(ui, { instances: "1", global });
      await openWorker(ui, { instances: "2", global, env: { OPENQA_BASEDIR: one.folder } });
      const [first, second] = [await workerOf(ui, 1), await workerOf(ui, 2)];
      const job = ui.offer(longJob, first);
      await moduleReported(ui, job);
      await rejected(ui, ui.offer(plainJob, second).id);
      const end = ui.now;
      one.kill("SIGKILL");
      await status(ui, second, "free", end);
      await finishesNextJob(ui, second);
    },
    testMs,
  );
});

describe("a slot that cannot take jobs says so, and is free when it can", () => {
  test(
    "with a qemu of an earlier job (field lesson 4)",
    async () => {
      const { ui, worker, workerId } = await openHost();
      await using qemu = await startFakeQemu(worker.folder);
      const pidFile = join(worker.pool(), "qemu.pid");
      await writeFile(pidFile, `${qemu.pid}\n`);
      const reason = `A QEMU instance using the current pool directory is still running (PID: ${qemu.pid})`;
      expect((await status(ui, workerId, "broken")).value["reason"]).toBe(reason);
      expect((await rejected(ui, ui.offer(plainJob).id)).value["reason"]).toBe(reason);
      expect(await readFile(pidFile, "utf8")).toBe(`${qemu.pid}\n`);
      const end = ui.now;
      await qemu.end();
      await status(ui, workerId, "free", end);
      expect(await Bun.file(pidFile).exists()).toBe(false);
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "without the lock of its pool, which somebody else has now",
    async () => {
      const { ui, worker, workerId } = await openHost();
      const stock = await takePoolFrom(worker);
      const broken = await status(ui, workerId, "broken");
      expect(broken.value["reason"]).toBe(
        `Unable to lock pool directory: ${worker.pool()} already locked by process ${stock.pid}`,
      );
      await writeFile(join(worker.pool(), "vars.json"), "of somebody else");
      await rejected(ui, ui.offer(plainJob).id);
      expect(await readFile(join(worker.pool(), "vars.json"), "utf8")).toBe("of somebody else");
      const end = ui.now;
      await stock.release();
      await status(ui, workerId, "free", end);
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "on a full disk (field lesson 27)",
    async () => {
      const script = `mount -t tmpfs -o size=32m tmpfs "$OPENQA_BASEDIR/openqa/pool" && exec "$@"`;
      const asRoot = process.getuid?.() === 0 ? [] : ["--map-root-user"];
      const { ui, worker, workerId } = await openHost({
        launcher: ["unshare", "--mount", ...asRoot, "sh", "-c", script, "sh"],
      });
      const { value } = await status(ui, workerId, "broken");
      expect(value["reason"]).toMatch(
        new RegExp(
          `^No space left on the device of ${worker.pool()}: 3\\d MiB free, at least 64 MiB are needed$`,
        ),
      );
      expect((await rejected(ui, ui.offer(plainJob).id)).value["reason"]).toContain("No space left");
    },
    testMs,
  );
});

describe("jobs that are queued already", () => {
  const queued = [{ ...longJob, FAKE_LINGER: "1" }, plainJob];

  test(
    "go on although the slot takes no new ones (field lesson 29)",
    async () => {
      const { ui, worker, loads } = await withLoads();
      const [first, second] = ui.offerQueue(queued, [0, 1]);
      await moduleReported(ui, first!);
      await writeFile(loads, "50 40 30 1/1 1\n");
      await ui.setDone(second!.id);
      expect(second?.result).toBe("passed");
      await worker.awaitLog(/average load .* is exceeding/);
      expect((await rejected(ui, ui.offer(plainJob).id)).value["reason"]).toContain("average load");
      await writeFile(loads, "0 0 0 1/1 1\n");
      await ui.message({ status: "free" }, { from: ui.now });
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "are skipped when the pool is lost (field lesson 29)",
    async () => {
      const { ui, worker } = await openHost();
      const [first, second] = ui.offerQueue(queued, [0, 1]);
      await moduleReported(ui, first!);
      const stock = await takePoolFrom(worker);
      await ui.setDone(second!.id);
      expect(second).toMatchObject({
        result: "skipped",
        reason: expect.stringMatching(/^worker broken: Unable to lock pool directory: /),
      });
      const end = ui.now;
      await stock.release();
      await ui.message({ status: "free" }, { from: end });
      await finishesNextJob(ui);
    },
    testMs,
  );
});

describe("PACKAGES_CMD", () => {
  test(
    "runs once, its output is in each pool, and stays there",
    async () => {
      const ui = await openWebUi();
      const folder = await openFolder();
      const command = `echo ran >>${folder}/runs; echo os-autoinst-5; echo a warning >&2`;
      const worker = await openWorker(ui, { instances: "1-2", global: { PACKAGES_CMD: command } });
      const ids = [await workerOf(ui, 1), await workerOf(ui, 2)];
      const lists = () =>
        Promise.all([1, 2].map((n) => readFile(join(worker.pool(n), "worker_packages.txt"), "utf8")));
      expect(await lists()).toEqual(["os-autoinst-5\n", "os-autoinst-5\n"]);
      await finishesNextJob(ui, ids[0]);
      await status(ui, ids[0] ?? 0, "free", ui.now);
      expect(await lists()).toEqual(["os-autoinst-5\n", "os-autoinst-5\n"]);
      expect(await readFile(join(folder, "runs"), "utf8")).toBe("ran\n");
    },
    testMs,
  );

  test.each([
    ["exit 3", "The PACKAGES_CMD command could not be executed: exit code 3"],
    ["true", "The PACKAGES_CMD command doesn't return any data"],
  ])(
    "%j ends the worker before it registers",
    async (command, message) => {
      const ui = await openWebUi();
      const worker = await openWorker(ui, { global: { PACKAGES_CMD: command } });
      expect(await worker.exit()).toEqual({ code: 1, signal: null });
      expect(worker.log).toContain(message);
      expect(ui.requests).toEqual([]);
    },
    testMs,
  );
});

test(
  "IPMI: the machine is powered off while there is no job, and not while there is one",
  async () => {
    await using programs = await FakePrograms.make();
    await programs.put("ipmitool", `note "$* $IPMI_PASSWORD"`);
    const ipmi = { IPMI_HOSTNAME: "bmc", IPMI_USER: "admin", IPMI_PASSWORD: "s3cret" };
    const { ui, worker } = await openHost({
      global: { ...ipmi, IPMI_AUTOSHUTDOWN_INTERVAL: 0.05 },
      env: { PATH: `${programs.folder}:${process.env["PATH"]}` },
    });
    const powerOffs = async (more: number) => {
      const wanted = (await programs.calls()).length + more;
      while ((await programs.calls()).length < wanted)
        await status(ui, await ui.registered(), "free", ui.now);
    };
    await powerOffs(2);
    const job = ui.offer(longJob);
    await ui.message({ type: "accepted", jobid: job.id });
    const before = await programs.calls();
    await moduleReported(ui, job);
    expect(await programs.calls()).toEqual(before);
    ui.cancel(job);
    await powerOffs(2);
    expect(new Set(await programs.calls())).toEqual(
      new Set(["-I lanplus -H bmc -U admin -E chassis power off s3cret"]),
    );
    expect(worker.log).not.toContain("s3cret");
    worker.kill("SIGTERM");
    expect(await worker.exit()).toEqual({ code: 0, signal: null });
  },
  testMs,
);

test(
  "TERMINATE_AFTER_JOBS_DONE ends a slot after its job or its queue, the worker with the last slot",
  async () => {
    const ui = await openWebUi();
    const worker = await openWorker(ui, { instances: "1-2", global: { TERMINATE_AFTER_JOBS_DONE: 1 } });
    const [first, second] = [await workerOf(ui, 1), await workerOf(ui, 2)];
    const job = ui.offer(plainJob, first);
    await ui.message(({ workerId, value }) => workerId === first && value["type"] === "quit");
    expect(job.result).toBe("passed");
    const queue = ui.offerQueue([plainJob, plainJob], [0, 1], second);
    expect(await worker.exit()).toEqual({ code: 0, signal: null });
    expect(queue.map(({ result }) => result)).toEqual(["passed", "passed"]);
  },
  testMs,
);
