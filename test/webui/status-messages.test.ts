import { expect, jest, test } from "bun:test";
import { silentLog } from "../../src/ops/log.ts";
import type { WorkerStatusMessage } from "../../src/webui/messages.ts";
import { StatusMessages, type StatusOptions } from "../../src/webui/status-messages.ts";

const free: WorkerStatusMessage = { type: "worker_status", status: "free" };

async function play(
  changes: Partial<StatusOptions>,
  steps: (statuses: StatusMessages, sent: () => number) => Promise<void>,
) {
  jest.useFakeTimers();
  let sent = 0;
  const options = {
    status: async () => free,
    minIntervalMs: 60,
    maxIntervalMs: 300,
    random: () => 0.5,
    log: silentLog,
  };
  const send = () => {
    sent++;
    return true;
  };
  const statuses = new StatusMessages({ ...options, send, ...changes });
  try {
    await steps(statuses, () => sent);
  } finally {
    statuses.stop();
    jest.useRealTimers();
  }
}

async function pass(ms: number) {
  jest.advanceTimersByTime(ms);
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

test("without acknowledgements the interval counts from the sending", async () => {
  await play({}, async (statuses, sent) => {
    statuses.sendNow();
    await pass(0);
    await pass(179);
    expect(sent()).toBe(1);
    await pass(1);
    expect(sent()).toBe(2);
  });
});

test("it counts from the acknowledgement, and a server known to acknowledge is not flooded (field lesson 37)", async () => {
  await play({}, async (statuses, sent) => {
    statuses.sendNow();
    await pass(100);
    statuses.acknowledged();
    await pass(179);
    expect(sent()).toBe(1);
    await pass(1);
    expect(sent()).toBe(2);
    await pass(500);
    expect(sent()).toBe(2);
    statuses.acknowledged();
    await pass(180);
    expect(sent()).toBe(3);
  });
});

test("a lost acknowledgement delays the next status to twice the longest interval", async () => {
  await play({}, async (statuses, sent) => {
    statuses.acknowledged();
    statuses.sendNow();
    await pass(0);
    await pass(599);
    expect(sent()).toBe(1);
    await pass(1);
    expect(sent()).toBe(2);
  });
});

test.each([
  [0, 60],
  [0.25, 120],
  [1, 300],
])("random number %d: after %d ms", async (random, ms) => {
  await play({ random: () => random }, async (statuses, sent) => {
    statuses.sendNow();
    await pass(0);
    await pass(ms - 1);
    expect(sent()).toBe(1);
    await pass(1);
    expect(sent()).toBe(2);
  });
});

test("a status in between replaces the one that is due", async () => {
  await play({}, async (statuses, sent) => {
    statuses.sendNow();
    await pass(100);
    statuses.sendNow();
    await pass(0);
    await pass(100);
    expect(sent()).toBe(2);
    await pass(80);
    expect(sent()).toBe(3);
  });
});

test("many wishes while one status is found out come to one more", async () => {
  const found = Promise.withResolvers<WorkerStatusMessage>();
  await play({ status: () => found.promise }, async (statuses, sent) => {
    statuses.sendNow();
    await pass(0);
    for (let wish = 0; wish < 10; wish++) statuses.sendNow();
    found.resolve(free);
    await pass(0);
    expect(sent()).toBe(2);
  });
});

test("a fault at finding out the status is not the end of statuses", async () => {
  let asked = 0;
  const status = async () => {
    if (asked++ === 0) throw new Error("fault");
    return free;
  };
  await play({ status }, async (statuses, sent) => {
    statuses.sendNow();
    await pass(0);
    await pass(180);
    expect(sent()).toBe(1);
  });
});

test("once stopped nothing goes out, not even what was being found out", async () => {
  const found = Promise.withResolvers<WorkerStatusMessage>();
  await play({ status: () => found.promise }, async (statuses, sent) => {
    statuses.sendNow();
    await pass(0);
    statuses.stop();
    found.resolve(free);
    await pass(1000);
    expect(sent()).toBe(0);
  });
});
