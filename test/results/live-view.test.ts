import { expect, test } from "bun:test";
import { appendFile, mkdir, rename, symlink, unlink } from "node:fs/promises";
import { LiveView, livePlaceSchema } from "../../src/results/live-view.ts";
import { makeFifo, TemporaryPool } from "./temporary-pool.ts";
import { recordingContext } from "./web-ui-double.ts";

const noLogs = { log: {}, serial_log: {}, serial_terminal: {}, serial_terminal_user: {} };
const shown = (name: string) => ({ name, png: Buffer.from(`picture ${name}`).toString("base64") });

/** As isotovideo does it. */
async function show(pool: TemporaryPool, name: string): Promise<void> {
  await pool.write({ [`qemuscreenshot/${name}`]: `picture ${name}` });
  await symlink(name, pool.path("qemuscreenshot/new"));
  await rename(pool.path("qemuscreenshot/new"), pool.path("qemuscreenshot/last.png"));
}

async function pointTo(pool: TemporaryPool, target: string): Promise<void> {
  await mkdir(pool.path("qemuscreenshot"), { recursive: true });
  await symlink(target, pool.path("qemuscreenshot/last.png"));
}

async function lookAt(pool: TemporaryPool) {
  const context = recordingContext();
  const { status } = await new LiveView(pool.directory).look(context);
  return { status, lines: context.lines };
}

test("logs and screen of a job, in the order in which the server appends them", async () => {
  await using pool = await TemporaryPool.make({
    "autoinst-log.txt": "autoinst",
    serial0: "serial",
    "virtio_console.log": "terminal",
    "virtio_console_user.log": "user",
    "virtio_console1.log": "not for viewers",
  });
  await show(pool, "1795491349.584384.png");
  const { status, lines } = await lookAt(pool);
  expect(JSON.stringify(status)).toBe(
    JSON.stringify({
      log: { offset: 0, data: "autoinst" },
      serial_log: { offset: 0, data: "serial" },
      serial_terminal: { offset: 0, data: "terminal" },
      serial_terminal_user: { offset: 0, data: "user" },
      screen: shown("1795491349.584384.png"),
    }),
  );
  expect(lines).toEqual([]);
});

test("a job that has written nothing yet", async () => {
  await using pool = await TemporaryPool.make();
  expect(await lookAt(pool)).toEqual({ status: noLogs, lines: [] });
});

test("a picture is sent once, and again as long as the server has not got it", async () => {
  await using pool = await TemporaryPool.make();
  const view = new LiveView(pool.directory);
  const look = async (isTaken: boolean) => {
    const { status, taken } = await view.look(recordingContext());
    if (isTaken) taken();
    return status["screen"];
  };
  await show(pool, "1.png");
  expect(await look(false)).toEqual(shown("1.png"));
  expect(await look(true)).toEqual(shown("1.png"));
  expect(await look(true)).toBeUndefined();
  await show(pool, "2.png");
  expect(await look(true)).toEqual(shown("2.png"));
  await unlink(pool.path("qemuscreenshot/last.png"));
  expect(await look(true)).toBeUndefined();
  await pointTo(pool, "2.png");
  expect(await look(true)).toBeUndefined();
});

test("a later start goes on where the one before has got to", async () => {
  await using pool = await TemporaryPool.make({ serial0: "one" });
  await show(pool, "1.png");
  const before = new LiveView(pool.directory);
  (await before.look(recordingContext())).taken();
  await pool.write({ "virtio_console.log": "terminal" });
  await appendFile(pool.path("serial0"), " two");
  const place = livePlaceSchema.parse(JSON.parse(JSON.stringify(before.place)));
  expect((await new LiveView(pool.directory, place).look(recordingContext())).status).toEqual({
    ...noLogs,
    serial_log: { offset: 3, data: " two" },
    serial_terminal: { offset: 0, data: "terminal" },
  });
});

test("a picture that is gone is left out without a word", async () => {
  await using pool = await TemporaryPool.make();
  await pointTo(pool, "1.png");
  expect(await lookAt(pool)).toEqual({ status: noLogs, lines: [] });
});

test.each<[string, (pool: TemporaryPool) => Promise<unknown>, string]>([
  [
    "last.png leads out of the pool",
    (pool) => pointTo(pool, "../../outside/secret"),
    'last.png points to "../../outside/secret", expected a file in the same folder',
  ],
  [
    "last.png is absolute",
    (pool) => pointTo(pool, `${pool.outside}/secret`),
    "expected a file in the same folder",
  ],
  [
    "last.png points to the folder above",
    (pool) => pointTo(pool, ".."),
    "expected a file in the same folder",
  ],
  [
    "last.png points to itself",
    (pool) => pointTo(pool, "last.png"),
    "Unable to open qemuscreenshot/last.png",
  ],
  [
    "last.png is a picture itself",
    (pool) => pool.write({ "qemuscreenshot/last.png": "picture" }),
    "Unable to open qemuscreenshot/last.png",
  ],
  [
    "the picture is a link out of the pool",
    async (pool) => {
      await pointTo(pool, "1.png");
      await symlink(`${pool.outside}/secret`, pool.path("qemuscreenshot/1.png"));
    },
    "Unable to open qemuscreenshot/1.png",
  ],
  [
    "the picture is a FIFO",
    async (pool) => {
      await pointTo(pool, "1.png");
      await makeFifo(pool.path("qemuscreenshot/1.png"));
    },
    "qemuscreenshot/1.png is no regular file",
  ],
  [
    "the picture is a folder",
    async (pool) => {
      await pointTo(pool, "1.png");
      await mkdir(pool.path("qemuscreenshot/1.png"));
    },
    "qemuscreenshot/1.png is no regular file",
  ],
  [
    "the picture is bigger than 10 MiB",
    async (pool) => {
      await pointTo(pool, "1.png");
      await pool.write({ "qemuscreenshot/1.png": new Uint8Array(10 * 1024 * 1024 + 1) });
    },
    "1.png has 10485761 bytes, more than the 10485760 that are read",
  ],
  [
    "the folder of pictures is a link",
    async (pool) => {
      await symlink("secret", `${pool.outside}/last.png`);
      await symlink(pool.outside, pool.path("qemuscreenshot"));
    },
    "Unable to open qemuscreenshot in",
  ],
  [
    "a log is a link out of the pool",
    (pool) => symlink(`${pool.outside}/secret`, pool.path("autoinst-log.txt")),
    "Unable to open autoinst-log.txt",
  ],
  ["a log is a FIFO", (pool) => makeFifo(pool.path("serial0")), "serial0 is no regular file"],
])("%s: left out, with one warning however often it is looked at", async (_, prepare, why) => {
  await using pool = await TemporaryPool.make();
  await prepare(pool);
  const view = new LiveView(pool.directory);
  const context = recordingContext();
  for (let at = 0; at < 3; at++) expect((await view.look(context)).status).toEqual(noLogs);
  expect(context.lines).toEqual([expect.stringContaining(`warn Not in the live view: `)]);
  expect(context.lines[0]).toContain(why);
});

test("what is wrong with one log does not keep the others back", async () => {
  await using pool = await TemporaryPool.make({ "virtio_console.log": "terminal" });
  await makeFifo(pool.path("autoinst-log.txt"));
  await show(pool, "1.png");
  expect((await lookAt(pool)).status).toEqual({
    ...noLogs,
    serial_terminal: { offset: 0, data: "terminal" },
    screen: shown("1.png"),
  });
});
