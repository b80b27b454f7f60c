// How long a worker takes to be there for its web UI: its program starts → the web UI has got the first status of all its
// slots, over their websockets, for which they had to register. 16 slots: one process of ours, 16 stock ones at once.
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { steadyPerl } from "../../e2e/cache-service.ts";
import { Daemon } from "../../e2e/processes.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import { until } from "../../e2e/until.ts";
import { workerUser } from "../../e2e/users.ts";
import { configureWorker, installExecutable } from "../../e2e/worker-folder.ts";
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { LineTimes } from "../line-times.ts";
import { each, inTurn, type PerSide, type SideName } from "../two-sides.ts";
import { withServer } from "../with-server.ts";

const limitMs = 120_000;
/** Between two starts: what the web UI does when workers leave is over. */
const restMs = 1000;

/** In the websocket server's log. */
const firstStatus = /Updating seen of worker (\d+) from worker_status/;

export const part: BenchPart = {
  name: "start",
  title: "Start of a worker: program started until the web UI has all its slots",
  minutes: 2.5,
  measure: (options) =>
    withServer(async (server) => [
      ...(await measureSlots(server, 1, options)),
      ...(await measureSlots(server, 16, options)),
    ]),
};

async function measureSlots(
  server: OpenqaServer,
  slots: number,
  { rounds, note }: BenchOptions,
): Promise<Measurement[]> {
  const instances: PerSide<number> = {
    stock: server.takeInstances(slots),
    ours: server.takeInstances(slots),
  };
  const found = await inTurn(rounds, async (side, round) => {
    note(`start of ${side} with ${slots} slots, round ${round} of ${rounds}`);
    const start = () => startMs(server, side, instances[side], slots);
    if (side === "ours") await forgetVersion(server, round === 0);
    const first = await start();
    // To the stock worker they are all the same.
    return { first, later: side === "ours" ? await start() : first };
  });
  const name = slots === 1 ? "1 slot" : `${slots} slots`;
  const aim = { ratio: 1 / 4, to: "stock" };
  return [
    {
      name,
      unit: "ms",
      sides: each(found, ({ later }) => later),
      ...(slots === 1 && { aim }),
      remark:
        slots === 1
          ? "a later start, as after an upgrade or a reboot: ours remembers the version of isotovideo"
          : `later starts too; ours is one process, stock are ${slots} that start together`,
    },
    {
      name: `${name}, first start`,
      unit: "ms",
      sides: each(found, ({ first }) => first),
      remark: "ours asks isotovideo for its version, as the stock worker does at each start",
    },
  ];
}

/** As before the first start with this isotovideo. Throws when nothing was remembered, unless that may be. */
async function forgetVersion(server: OpenqaServer, mayBeNew: boolean): Promise<void> {
  const path = join(server.projectFolder, "pool/.openqa-worker/isotovideo-version.json");
  await rm(path, { force: mayBeNew });
}

/** Starts a side, measures in milliseconds, and ends it again. */
async function startMs(
  server: OpenqaServer,
  side: SideName,
  instance: number,
  slots: number,
): Promise<number> {
  await using log = await LineTimes.follow(server.log("websockets"));
  const daemons = await startPrograms(server, side, instance, slots);
  try {
    const registeredMs = await until(`${slots} slots of ${side} are registered`, limitMs, async () =>
      timeOfLast(log, slots),
    );
    const startedMs = await Promise.all(daemons.map(({ startNote }) => readFile(startNote, "utf8")));
    return registeredMs - Math.min(...startedMs.map((seconds) => Number(seconds) * 1000));
  } finally {
    await Promise.all(daemons.map(({ daemon }) => daemon.stop()));
    await Bun.sleep(restMs);
  }
}

/** When the last of so many slots has told its first status; undefined as long as some have not. */
function timeOfLast({ lines }: LineTimes, slots: number): number | undefined {
  const first = new Map<string, number>();
  for (const { text, atMs } of lines) {
    const id = firstStatus.exec(text)?.[1];
    if (id !== undefined && !first.has(id)) first.set(id, atMs);
  }
  return first.size < slots ? undefined : Math.max(...first.values());
}

interface Started {
  readonly daemon: Daemon;
  /** File with the time at which the program itself began, in seconds since the epoch. */
  readonly startNote: string;
}

async function startPrograms(
  server: OpenqaServer,
  side: SideName,
  instance: number,
  slots: number,
): Promise<Started[]> {
  const env = await configureWorker(server, { instance, slots, workerClass: side });
  const instances = Array.from({ length: slots }, (_, index) => instance + index);
  const commands =
    side === "stock"
      ? instances.map((one) => ["/usr/share/openqa/script/worker", "--instance", String(one)])
      : [[await installExecutable(server), "run", "--instance", instances.join(",")]];
  return Promise.all(
    commands.map(async (command, index) => {
      const startNote = join(server.logFolder, `start-${instance + index}`);
      // What is needed to run a program as another user is not the program's.
      const noted = ["bash", "-c", 'echo $EPOCHREALTIME >"$0" && exec "$@"', startNote, ...command];
      const daemon = await Daemon.start(noted, {
        user: workerUser,
        env: side === "stock" ? { ...env, ...steadyPerl } : env,
        log: server.log(`worker-${side}-${instance + index}`),
        marks: [server.mark],
      });
      server.addWorkers([daemon]);
      return { daemon, startNote };
    }),
  );
}
