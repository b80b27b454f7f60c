// Slots on a real server, without jobs: registration, several slots in one process, and who holds a pool directory.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { endOf, startOurCommand } from "./our-command.ts";
import { type OpenqaServer, startLimitMs, startServer } from "./server.ts";
import { until } from "./until.ts";
import { configureWorker } from "./worker-folder.ts";
import { startOurWorker, startStockWorker } from "./workers.ts";

const limitMs = 120_000;
/** Between two tries of a stock worker that found its pool locked; it looks again at each status. */
const refusalLimitMs = 60_000;

let server: OpenqaServer;

beforeAll(async () => {
  server = await startServer();
}, startLimitMs);

afterAll(() => server?.stop(), limitMs);

/** Runs a subcommand for a slot to its end. */
async function ourCommand(instance: number, ...words: string[]) {
  const env = await configureWorker(server, { instance, workerClass: "e2e" });
  const name = `command-${instance}-${words.join("-")}`;
  return endOf(await startOurCommand(server, name, env, [...words, "--instance", String(instance)]));
}

async function entryOf(instance: number) {
  return (await server.api.workers()).find((one) => one.instance === instance);
}

test(
  "each slot of a process is a free worker of its own for the server, and gone after TERM",
  async () => {
    const instance = server.takeInstances(3);
    const worker = await startOurWorker(server, { instance, slots: 3, workerClass: "e2e" });
    const entries = await Promise.all(worker.instances.map(entryOf));
    expect(entries.map((entry) => entry?.isFree)).toEqual([true, true, true]);
    expect(new Set(entries.map((entry) => entry?.id)).size).toBe(3);
    expect(await worker.stop()).toBe(0);
    expect(await worker.processes()).toEqual([]);
    await until("the server has seen them go", 10_000, async () => {
      const now = await Promise.all(worker.instances.map(entryOf));
      return now.every((entry) => entry?.isConnected === false);
    });
  },
  limitMs,
);

test(
  "register prints the id of the worker, and the same one again",
  async () => {
    const instance = server.takeInstances(1);
    const first = await ourCommand(instance, "register");
    expect(first.exitCode).toBe(0);
    const id = (await entryOf(instance))?.id;
    expect(id).toBeNumber();
    expect(first.output.trim().split("\n").at(-1)).toBe(String(id));
    const again = await ourCommand(instance, "register", "--json");
    expect(again.exitCode).toBe(0);
    expect(again.output).toContain(String(id));
  },
  limitMs,
);

for (const [whose, startHolder] of [
  ["our", startOurWorker],
  ["a stock", startStockWorker],
] as const)
  test(
    `a slot of ${whose} worker is refused to register, and taken by a second worker once it is free`,
    async () => {
      const instance = server.takeInstances(1);
      const holder = await startHolder(server, { instance, workerClass: "e2e" });
      const refusal = `already locked by process ${holder.pids[0]}`;
      const registered = await ourCommand(instance, "register");
      expect(registered).toMatchObject({ exitCode: 3, output: expect.stringContaining(refusal) });
      const second = await startOurWorker(server, { instance, workerClass: "e2e", waits: false });
      // Both may write into one log.
      const sinceRefusal = async () => (await second.log()).split(refusal)[1];
      await until("the second worker finds the pool locked", refusalLimitMs, sinceRefusal);
      expect(await sinceRefusal()).not.toContain("Registering");
      expect((await entryOf(instance))?.isFree).toBe(true);
      await holder.stop();
      await until("the second worker has taken the slot", refusalLimitMs, async () =>
        (await sinceRefusal())?.includes("Registered and connected"),
      );
      expect(await second.stop()).toBe(0);
    },
    limitMs,
  );

test(
  "a stock worker gets no slot that ours has",
  async () => {
    const instance = server.takeInstances(1);
    const ours = await startOurWorker(server, { instance, workerClass: "e2e" });
    const stock = await startStockWorker(server, { instance, workerClass: "e2e", waits: false });
    await until("the stock worker finds the pool locked", refusalLimitMs, async () =>
      (await stock.log()).includes("already locked"),
    );
    await stock.stop();
    await ours.stop();
  },
  limitMs,
);
