import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdir, readdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { rememberedVersion } from "../../src/isotovideo/remembered-version.ts";
import { Pool } from "./pool.ts";

let pool: Pool;
let asked: number;
let version: number;

const isRoot = process.geteuid?.() === 0;

beforeEach(async () => {
  pool = await Pool.create();
  await mkdir(pool.path("state"));
  asked = 0;
  version = 34;
  await mkdir(pool.path("os-autoinst/OpenQA/Isotovideo"), { recursive: true });
  await writeFile(pool.path("os-autoinst/isotovideo"), "script");
  await writeFile(pool.path("os-autoinst/OpenQA/Isotovideo/Interface.pm"), "version 34");
});
afterEach(() => pool.remove());

const isotovideo = () => pool.path("os-autoinst/isotovideo");
const memory = () => pool.path("state/isotovideo-version.json");

function find(path = isotovideo()): Promise<number> {
  const ask = async () => {
    asked++;
    return version;
  };
  return rememberedVersion(path, { directory: pool.path("state"), ask }, pool.context);
}

test("isotovideo is asked once for its version, over several starts", async () => {
  expect([await find(), await find(), await find()]).toEqual([34, 34, 34]);
  expect(asked).toBe(1);
  expect(await readdir(pool.path("state"))).toEqual(["isotovideo-version.json"]);
});

test.each([
  ["is replaced", () => writeFile(isotovideo(), "new script")],
  ["has another time", () => utimes(isotovideo(), 1, 1)],
  [
    "has another interface file",
    () => writeFile(pool.path("os-autoinst/OpenQA/Isotovideo/Interface.pm"), "version 59"),
  ],
])("it is asked again when it %s", async (_, change) => {
  await find();
  await change();
  version = 59;
  expect([await find(), await find()]).toEqual([59, 59]);
  expect(asked).toBe(2);
});

test("another isotovideo is asked, also one that a link now leads to", async () => {
  await symlink("os-autoinst/isotovideo", pool.path("isotovideo"));
  expect(await find(pool.path("isotovideo"))).toBe(34);
  expect(await find()).toBe(34);
  expect(asked).toBe(1);
  await writeFile(pool.path("os-autoinst/isotovideo2"), "script");
  await rm(pool.path("isotovideo"));
  await symlink("os-autoinst/isotovideo2", pool.path("isotovideo"));
  await find(pool.path("isotovideo"));
  expect(asked).toBe(2);
});

test.each(["", "{", '{"files":1,"version":34}', '{"version":-1}'])(
  "a memory that holds %j is made again",
  async (text) => {
    await find();
    await writeFile(memory(), text);
    expect([await find(), await find()]).toEqual([34, 34]);
    expect(asked).toBe(2);
  },
);

test("no version is not remembered", async () => {
  version = 0;
  expect([await find(), await find()]).toEqual([0, 0]);
  expect(asked).toBe(2);
});

test("an isotovideo that is missing is asked, which says why it cannot be", async () => {
  await rm(isotovideo());
  await find();
  expect(asked).toBe(1);
});

test("where nothing can be kept it is asked each time", async () => {
  await rm(pool.path("state"), { recursive: true });
  await writeFile(pool.path("state"), "a file");
  expect([await find(), await find()]).toEqual([34, 34]);
  expect(asked).toBe(2);
  expect(pool.logText).toContain("[debug] Unable to remember the version of isotovideo");
});

test("root makes no folder, which would be in the way of the worker's user; others do", async () => {
  await rm(pool.path("state"), { recursive: true });
  expect(await find()).toBe(34);
  expect((await readdir(pool.folder)).sort()).toEqual(isRoot ? ["os-autoinst"] : ["os-autoinst", "state"]);
});
