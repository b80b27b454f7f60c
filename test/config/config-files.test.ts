import { describe, expect, test } from "bun:test";
import { mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { readConfigFiles } from "../../src/config/config-files.ts";
import { Sandbox } from "./sandbox.ts";

const explicit = { OPENQA_CONFIG: "explicit" };

async function lookup(files: readonly string[], name: string, { env = {}, inHome = false } = {}) {
  await using sandbox = await Sandbox.create(Object.fromEntries(files.map((path) => [path, "text"])));
  const config = "OPENQA_CONFIG" in env ? { OPENQA_CONFIG: sandbox.explicit } : {};
  const found = await readConfigFiles(name, {
    program: sandbox.program(config),
    system: [sandbox.etc, sandbox.usrEtc],
    inHome,
  });
  expect(found.problems).toEqual([]);
  return found.files.map(({ path }) => path.slice(sandbox.folder.length + 1));
}

describe("workers.ini is looked up", () => {
  const cases: readonly [what: string, there: string[], env: object, found: string[]][] = [
    ["in /etc/openqa", ["etc/openqa/workers.ini"], {}, ["etc/openqa/workers.ini"]],
    ["in /usr/etc/openqa", ["usr/etc/openqa/workers.ini"], {}, ["usr/etc/openqa/workers.ini"]],
    [
      "in $OPENQA_CONFIG only, when there is something",
      ["explicit/workers.ini", "etc/openqa/workers.ini", "etc/openqa/workers.ini.d/a.ini"],
      explicit,
      ["explicit/workers.ini"],
    ],
    [
      "beyond $OPENQA_CONFIG when nothing is there",
      ["etc/openqa/workers.ini"],
      explicit,
      ["etc/openqa/workers.ini"],
    ],
    [
      "with drop-ins in the order of their names",
      ["b", "a", "c.conf", "10"].map(
        (name) => `etc/openqa/workers.ini.d/${name}${name === "c.conf" ? "" : ".ini"}`,
      ),
      {},
      ["10", "a", "b"].map((name) => `etc/openqa/workers.ini.d/${name}.ini`),
    ],
    [
      "in /etc/openqa alone when its main file is there",
      ["etc/openqa/workers.ini", "usr/etc/openqa/workers.ini", "usr/etc/openqa/workers.ini.d/a.ini"],
      {},
      ["etc/openqa/workers.ini"],
    ],
    [
      "in both when /etc/openqa has only drop-ins, which come first",
      ["etc/openqa/workers.ini.d/a.ini", "usr/etc/openqa/workers.ini", "usr/etc/openqa/workers.ini.d/b.ini"],
      {},
      ["etc/openqa/workers.ini.d/a.ini", "usr/etc/openqa/workers.ini", "usr/etc/openqa/workers.ini.d/b.ini"],
    ],
    ["never in the home folder", ["home/.config/openqa/workers.ini"], {}, []],
  ];
  test.each(cases)("%s", async (_, there, env, found) => {
    expect(await lookup(there, "workers.ini", { env })).toEqual(found);
  });
});

test("client.conf is looked up in $OPENQA_CONFIG, then in the home folder, then in the system's", async () => {
  const all = ["explicit/client.conf", "home/.config/openqa/client.conf.d/a.conf", "etc/openqa/client.conf"];
  const options = { env: explicit, inHome: true };
  expect(await lookup(all, "client.conf", options)).toEqual(all.slice(0, 1));
  expect(await lookup(all.slice(1), "client.conf", options)).toEqual(all.slice(1, 2));
  expect(await lookup(all.slice(2), "client.conf", options)).toEqual(all.slice(2));
});

describe("a file that is there but cannot be used is told, and the next directory counts", () => {
  const cases: readonly [
    what: string,
    spoil: (sandbox: Sandbox, path: string) => Promise<unknown>,
    fault: string,
  ][] = [
    ["a folder", (_, path) => mkdir(path, { recursive: true }), "no regular file"],
    ["unreadable", (_, path) => symlink("workers.ini", path), "cannot be read: ELOOP"],
    [
      "too big",
      (sandbox) => sandbox.write("explicit/workers.ini", "#".repeat(1024 ** 2 + 1)),
      "1048577 bytes",
    ],
  ];
  test.each(cases)("%s", async (_, spoil, fault) => {
    await using sandbox = await Sandbox.ofWorkersIni("[global]\n");
    const path = join(sandbox.explicit, "workers.ini");
    await mkdir(sandbox.explicit);
    await spoil(sandbox, path);
    const program = sandbox.program({ OPENQA_CONFIG: sandbox.explicit });
    const { files, problems } = await readConfigFiles("workers.ini", { program, system: [sandbox.etc] });
    expect(files.map((file) => file.path)).toEqual([join(sandbox.etc, "workers.ini")]);
    expect(problems).toEqual([expect.stringContaining(`${path}: ${fault}`)]);
  });
});
