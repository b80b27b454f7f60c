import { expect, test } from "bun:test";
import type { ProcessEntry } from "../../src/process/process-entry.ts";
import { descendantsOf, listProcesses } from "../../src/process/process-list.ts";
import { becomeSubreaper } from "../../src/process/subreaper.ts";
import { sweep, sweepBelow } from "../../src/process/sweep.ts";
import { until } from "../isotovideo/pool.ts";

/** A shell script with all it starts, as far as that stays below it. */
async function startTree(script: string) {
  const child = Bun.spawn(["/bin/sh", "-c", `${script}\n`], { stdio: ["ignore", "pipe", "inherit"] });
  await child.stdout.getReader().read();
  const tree = (all: readonly ProcessEntry[]) => [
    ...all.filter(({ pid }) => pid === child.pid),
    ...descendantsOf([child.pid], all),
  ];
  return { child, tree };
}

const forker = "trap '' TERM; while :; do (sleep 30; true) & sleep 0.01; done & echo up; sleep 60";

test("a tree that ends with TERM is not killed", async () => {
  const { child, tree } = await startTree("trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done");
  const { ended, left } = await sweep(tree, { graceMs: 20_000 });
  expect(await child.exited).toBe(9);
  expect(ended.map(({ pid }) => pid)).toContain(child.pid);
  expect(left).toEqual([]);
});

test("a tree that ignores TERM and keeps forking is killed after the grace period", async () => {
  const { child, tree } = await startTree(forker);
  const begin = performance.now();
  const { left } = await sweep(tree, { graceMs: 100 });
  expect(performance.now() - begin).toBeGreaterThanOrEqual(100);
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
  expect(left).toEqual([]);
  expect(tree(await listProcesses()).filter(({ state }) => state !== "Z")).toEqual([]);
});

test("a tree in a hurry is killed without waiting for the grace period", async () => {
  const { child, tree } = await startTree("trap '' TERM; echo up; while :; do sleep 0.01; done");
  const begin = performance.now();
  await sweep(tree, { graceMs: 60_000, hurry: AbortSignal.abort() });
  expect(performance.now() - begin).toBeLessThan(30_000);
  await child.exited;
  expect(child.signalCode).toBe("SIGKILL");
});

test("all below a process is ended, not the process itself", async () => {
  const { child } = await startTree("sleep 60 & sleep 61 & echo up; wait; echo; exit 7");
  const { ended } = await sweepBelow(child.pid, { graceMs: 5000 });
  // By their number: the name is still the shell's between fork and exec.
  expect(ended).toHaveLength(2);
  expect(ended.map(({ pid }) => pid)).not.toContain(child.pid);
  expect(await child.exited).toBe(7);
});

test("nothing to end is no work, and the kernel's word that nobody is left is enough", async () => {
  expect(await sweep(() => [], { graceMs: 60_000 })).toEqual({ ended: [], left: [] });
  const neverAsked = () => {
    throw new Error("looked although the kernel has told");
  };
  expect(await sweep(neverAsked, { graceMs: 60_000, isEmpty: () => true })).toEqual({ ended: [], left: [] });
});

test("a child subreaper takes away what it adopts, and no exit status of its own children", async () => {
  becomeSubreaper();
  const codes = Array.from({ length: 20 }, (_, code) => code);
  const exits = codes.map(
    (code) => Bun.spawn(["/bin/sh", "-c", `(setsid sleep 0.05 &); exit ${code}`]).exited,
  );
  expect(await Promise.all(exits)).toEqual(codes);
  await until("all that was adopted is gone", async () => {
    const adopted = (await listProcesses()).filter(
      ({ parentPid, name }) => parentPid === process.pid && name === "sleep",
    );
    return adopted.length === 0 || undefined;
  });
});
