// The process of the optimiser is played by scripted-process: it breaks as the pictures' names say (field lesson 32).
import { expect, test } from "bun:test";
import { join } from "node:path";
import type { OwnSettings } from "../../src/config/settings.ts";
import { Logger } from "../../src/ops/log.ts";
import { PictureOptimiser } from "../../src/pictures/picture-optimiser.ts";
import { readProcess } from "../../src/process/process-entry.ts";

const script = join(import.meta.dir, "scripted-process");

class PlayedOptimiser implements AsyncDisposable {
  readonly lines: string[] = [];
  /** "a1: crash.png" in the order in which their answers came. */
  readonly answered: string[] = [];
  private readonly optimiser: PictureOptimiser;

  constructor(settings: Partial<OwnSettings["pictures"]> = {}, command = [script]) {
    const usual = { parallel: 1, endDelayMs: 0, timeoutMs: 5000, idleMs: 60_000 };
    this.optimiser = new PictureOptimiser(
      { settings: { ...usual, ...settings }, command, environment: { PATH: process.env["PATH"] ?? "" } },
      new Logger([({ level, text }) => this.lines.push(`${level} ${text}`)]),
    );
  }

  order(name: string, { pool = "/pool/1", isWanted = true } = {}) {
    const ordered = this.optimiser.optimise({ pool, name, copy: "copy.png" }, { isWanted });
    void ordered.answer.then(() => this.answered.push(name));
    return ordered;
  }

  /** Pid of the process that has answered; undefined: it goes out as it is. */
  async answer(name: string): Promise<number | undefined> {
    return pidIn(await this.order(name).answer);
  }

  get warnings(): string[] {
    return this.lines.filter((line) => line.startsWith("warn"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.optimiser[Symbol.asyncDispose]();
  }
}

function pidIn(answer: { readonly why?: string | undefined } | undefined): number | undefined {
  return answer && Number(answer.why?.split(" ").at(-1));
}

async function isThere(pid: number | undefined): Promise<boolean> {
  const entry = pid === undefined ? undefined : await readProcess(pid);
  return entry !== undefined && entry.state !== "Z";
}

test("one process, started with the first picture, serves all pools", async () => {
  await using played = new PlayedOptimiser();
  expect(played.lines).toEqual([]);
  const [first, second] = [played.order("a.png"), played.order("b.png", { pool: "/pool/2" })];
  const pid = pidIn(await first.answer);
  expect(await isThere(pid)).toBe(true);
  expect(pidIn(await second.answer)).toBe(pid);
  expect(played.lines).toEqual([`debug Optimising pictures in process ${pid}`]);
});

test("it leads a session of its own", async () => {
  await using played = new PlayedOptimiser();
  const pid = await played.answer("a.png");
  expect((await readProcess(pid ?? 0))?.sessionId).toBe(pid);
});

test("no more pictures are in it at once than allowed: the others wait here, and pools take turns", async () => {
  await using played = new PlayedOptimiser({ parallel: 1, timeoutMs: 400 });
  const names = ["hang.png", "a2.png", "a3.png", "a4.png"];
  const orders = names.map((name) => played.order(name, { isWanted: false }));
  const other = played.order("b1.png", { pool: "/pool/2", isWanted: false });
  orders[3]?.want();
  await Promise.all([...orders, other].map(({ answer }) => answer));
  expect(played.answered).toEqual(["hang.png", "a4.png", "b1.png", "a2.png", "a3.png"]);
});

test("as many as allowed are in it at once", async () => {
  await using played = new PlayedOptimiser({ parallel: 3 });
  const orders = ["hang1.png", "hang2.png", "a.png", "b.png"].map((name) => played.order(name));
  await orders[3]?.answer;
  expect(played.answered).toEqual(["a.png", "b.png"]);
});

test.each([
  ["crash.png", "exit code 7: a picture too many"],
  ["kill.png", "signal SIGKILL"],
  ["garbage.png", 'it wrote "this is no answer", which is no answer'],
  ["stranger.png", "it answered a request 1001, which it was not given"],
  ["endless.png", "it wrote a line without end"],
])("%s breaks it: what is in it goes out as it is, the rest goes on with a new one", async (bad, how) => {
  await using played = new PlayedOptimiser({ parallel: 2 });
  const lost = [bad, "hang.png"].map((name) => played.order(name));
  const rest = ["a.png", "b.png"].map((name) => played.order(name));
  expect(await Promise.all(lost.map(({ answer }) => answer))).toEqual([undefined, undefined]);
  const [one, other] = await Promise.all(rest.map(async ({ answer }) => pidIn(await answer)));
  expect(one).toBeGreaterThan(0);
  expect(other).toBe(one!);
  expect(played.warnings).toEqual([
    `warn The process that optimises pictures broke (${how}); pictures that go out as they are: 2`,
  ]);
});

test("one that takes too long for a picture is killed", async () => {
  await using played = new PlayedOptimiser({ timeoutMs: 400 });
  const before = await played.answer("a.png");
  expect(await played.answer("hang.png")).toBeUndefined();
  expect(await isThere(before)).toBe(false);
  expect(await played.answer("b.png")).not.toBe(before);
  expect(played.warnings).toEqual([
    "warn The process that optimises pictures broke (hang.png in /pool/1 took it longer than 400 ms); " +
      "pictures that go out as they are: 1",
  ]);
});

test.each([
  ["ends before its first answer", [script, "dies"], "exit code 3: no library"],
  ["cannot be started", ["/nowhere/program"], /it cannot be started: .*ENOENT/],
])("one that %s, twice, is not started again, and that is said once", async (_, command, how) => {
  await using played = new PlayedOptimiser({}, command);
  const orders = ["a.png", "b.png", "c.png"].map((name) => played.order(name));
  expect(await Promise.all(orders.map(({ answer }) => answer))).toEqual([undefined, undefined, undefined]);
  const { length } = played.lines;
  expect(await played.answer("d.png")).toBeUndefined();
  expect(played.lines).toHaveLength(length);
  expect(played.warnings).toHaveLength(2);
  const [why] = /\((.*)\)/.exec(played.warnings[1]!)?.slice(1) ?? [];
  if (typeof how === "string") expect(why).toBe(how);
  else expect(why).toMatch(how);
  expect(played.warnings[1]).toContain("for 10 minutes they go out as they are");
  expect(played.warnings[1]).toContain("OPTIMIZE_IMAGES=0");
});

test("without a picture for a while it ends; the next picture starts another", async () => {
  await using played = new PlayedOptimiser({ idleMs: 50 });
  const first = await played.answer("a.png");
  for (const end = performance.now() + 5000; (await isThere(first)) && performance.now() < end; )
    await Bun.sleep(5);
  expect(await isThere(first)).toBe(false);
  const second = await played.answer("b.png");
  expect(second).toBeGreaterThan(0);
  expect(second).not.toBe(first);
  expect(played.warnings).toEqual([]);
});

test("a picture that comes while it ends is not lost", async () => {
  await using played = new PlayedOptimiser({ idleMs: 1 });
  for (let count = 0; count < 5; count++) {
    expect(await played.answer(`${count}.png`)).toBeGreaterThan(0);
    await Bun.sleep(count);
  }
  expect(played.warnings).toEqual([]);
});

test("disposed while it is busy, it answers all at once and leaves no process", async () => {
  const played = new PlayedOptimiser({ parallel: 2 });
  const pid = await played.answer("a.png");
  const orders = ["hang.png", "hang2.png", "b.png"].map((name) => played.order(name));
  await played[Symbol.asyncDispose]();
  expect(await Promise.all(orders.map(({ answer }) => answer))).toEqual([undefined, undefined, undefined]);
  expect(await isThere(pid)).toBe(false);
  expect(await played.answer("c.png")).toBeUndefined();
  expect(played.warnings).toEqual([]);
});

test("disposed, it is killed should it not end with its input", async () => {
  const played = new PlayedOptimiser({}, [script, "deaf"]);
  const pid = await played.answer("a.png");
  await played[Symbol.asyncDispose]();
  expect(await isThere(pid)).toBe(false);
});

test("one that nobody waits for any more is not optimised", async () => {
  await using played = new PlayedOptimiser();
  const [first, dropped, last] = ["a.png", "b.png", "c.png"].map((name) => played.order(name));
  dropped?.drop();
  first?.drop();
  expect(await dropped?.answer).toBeUndefined();
  expect(pidIn(await first?.answer)).toBeGreaterThan(0);
  expect(pidIn(await last?.answer)).toBeGreaterThan(0);
  dropped?.drop();
});

test("more pictures of a pool than may wait go out as they are, those of another do not", async () => {
  await using played = new PlayedOptimiser({ timeoutMs: 500 });
  const many = Array.from({ length: 10_002 }, (_, index) => played.order(`hang${index}.png`));
  expect(await many.at(-1)?.answer).toBeUndefined();
  const other = played.order("b.png", { pool: "/pool/2" });
  for (const { drop } of many) drop();
  expect(pidIn(await other.answer)).toBeGreaterThan(0);
});
