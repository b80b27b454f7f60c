import { describe, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Sandbox } from "./sandbox.ts";

describe("an entry of HOST", () => {
  const cases: readonly [host: string, urls: string[]][] = [
    ["openqa.example", ["http://openqa.example"]],
    ["openqa.example:9526", ["http://openqa.example:9526"]],
    ["https://openqa.example", ["https://openqa.example"]],
    ["https://openqa.example:443/some/path?x", ["https://openqa.example:443"]],
    ["http://[::1]:9526/", ["http://[::1]:9526"]],
    ["http://user:word@openqa.example", ["http://openqa.example"]],
    ["a  http://b\ta", ["http://a", "http://b"]],
    ["0", ["http://localhost"]],
    ["", ["http://localhost"]],
  ];
  test.each(cases)("%p means %j", async (host, urls) => {
    await using sandbox = await Sandbox.ofWorkersIni(`[global]\nHOST = ${host}\n`);
    const { hosts, ignoredHosts } = await sandbox.load();
    expect(hosts.map(({ url }) => url)).toEqual(urls);
    expect(ignoredHosts).toEqual([]);
  });

  test.each(["ftp://a", "a/b", "http://", "http://a:x", "http://a:99999", "::1"])(
    "%p is ignored",
    async (entry) => {
      await using sandbox = await Sandbox.ofWorkersIni(`[global]\nHOST = ${entry} b\n`);
      const { hosts, ignoredHosts } = await sandbox.load();
      expect(hosts.map(({ name }) => name)).toEqual(["b"]);
      expect(ignoredHosts).toEqual([
        {
          name: entry,
          reason: expect.stringContaining(`Ignoring host '${entry}': No valid address, expected HOST`),
        },
      ]);
    },
  );
});

describe("the share directory", () => {
  test("is the host's if that is there, else the project folder's", async () => {
    await using sandbox = await Sandbox.create();
    await mkdir(join(sandbox.cwd, "mine"));
    await sandbox.write(
      "etc/openqa/workers.ini",
      `[global]\nHOST = a b c d\n[a]\nSHARE_DIRECTORY = ${sandbox.cwd}\n[b]\nshare_directory = mine\n[c]\nSHARE_DIRECTORY = gone\n[d]\n`,
    );
    const project = join(sandbox.base, "openqa/share");
    const { hosts, origins } = await sandbox.load();
    expect(hosts.map((host) => host.shareDirectory)).toEqual([
      sandbox.cwd,
      join(sandbox.cwd, "mine"),
      project,
      project,
    ]);
    expect(origins.get("hosts.1.shareDirectory")).toBe(`${sandbox.etc}/workers.ini:6`);
  });

  test("is a reason to ignore the host when neither is there", async () => {
    await using sandbox = await Sandbox.ofWorkersIni("[global]\nHOST = a\n[a]\nSHARE_DIRECTORY = gone\n");
    const settings = await sandbox.load({ env: { OPENQA_BASEDIR: "/nonexistent" } });
    expect(settings.hosts).toEqual([]);
    const checked = `${sandbox.cwd}/gone /nonexistent/openqa/share`;
    expect(settings.ignoredHosts).toEqual([
      { name: "a", reason: `Ignoring host 'a': Working directory does not exist. (Checked: ${checked})` },
    ]);
  });
});

test("a second spelling of the same web UI is ignored (field lesson 11)", async () => {
  await using sandbox = await Sandbox.ofWorkersIni("[global]\nHOST = http://a:80 a b HTTP://b/x\n");
  const { hosts, ignoredHosts } = await sandbox.load();
  expect(hosts.map(({ name }) => name)).toEqual(["http://a:80", "b"]);
  expect(ignoredHosts.map(({ reason }) => reason)).toEqual([
    "Ignoring host 'a': It is the same web UI as 'http://a:80'",
    "Ignoring host 'HTTP://b/x': It is the same web UI as 'b'",
  ]);
});

test("a host's section is found letter by letter and wins over the global keys", async () => {
  await using sandbox = await Sandbox.ofWorkersIni(
    "[global]\nHOST = http://a b\nRETRY_DELAY = 1\n[http://a]\nRETRY_DELAY = 2\nRETRY_DELAY_IF_WEBUI_BUSY = 3\nTESTPOOLSERVER = -4 rsync://a/tests\n",
  );
  expect((await sandbox.load()).hosts).toMatchObject([
    { retryDelayMs: 2000, busyRetryDelayMs: 3000, testPoolServer: "-4 rsync://a/tests" },
    { retryDelayMs: 1000, busyRetryDelayMs: 60_000, testPoolServer: undefined },
  ]);
});

describe("credentials", () => {
  const clientConf =
    "[openqa.example]\nkey = first\nKEY = k \nsecret = s\n[[::1]]\nkey = k6\nsecret = s6\n[lone]\nkey = k\n[empty]\nkey = k\nsecret = s\nkey =\nsecret =\n";

  const cases: readonly [host: string, env: Record<string, string>, flags: object, credentials: unknown][] = [
    ["https://openqa.example:8443/x", {}, {}, { key: "k", secret: "s" }],
    ["http://[::1]:9526", {}, {}, { key: "k6", secret: "s6" }],
    ["other", {}, {}, undefined],
    ["empty", {}, {}, undefined],
    ["openqa.example", { OPENQA_API_KEY: "e" }, {}, { key: "e", secret: "s" }],
    ["openqa.example", { OPENQA_API_SECRET: "e" }, { apikey: "f" }, { key: "f", secret: "e" }],
    ["openqa.example", { OPENQA_API_KEY: "" }, { apikey: "", apisecret: "" }, { key: "k", secret: "s" }],
    ["other", { OPENQA_API_KEY: "e", OPENQA_API_SECRET: "e" }, { apisecret: "f" }, { key: "e", secret: "f" }],
  ];
  test.each(cases)("of %p with %j and %j", async (host, env, flags, credentials) => {
    await using sandbox = await Sandbox.ofWorkersIni(`[global]\nHOST = ${host}\n`);
    await sandbox.write("home/.config/openqa/client.conf", clientConf);
    const settings = await sandbox.load({ env, flags });
    expect(settings.hosts[0]?.credentials).toEqual(credentials as never);
    expect(settings.problems).toEqual([]);
  });

  test("are none when one of the two is missing, with a line about it", async () => {
    await using sandbox = await Sandbox.ofWorkersIni("[global]\nHOST = lone\n");
    await sandbox.write("etc/openqa/client.conf", clientConf);
    const { hosts, problems } = await sandbox.load();
    expect(hosts[0]?.credentials).toBeUndefined();
    expect(problems).toEqual([
      `${sandbox.etc}/client.conf:9: API key of lone without a secret; requests go unsigned`,
    ]);
  });

  test("the last value of all files counts", async () => {
    await using sandbox = await Sandbox.ofWorkersIni("[global]\nHOST = a\n");
    await sandbox.write("etc/openqa/client.conf", "[a]\nkey=1\nsecret=1\n");
    await sandbox.write("etc/openqa/client.conf.d/x.conf", "[a]\nkey=2\nkey=3\n");
    expect((await sandbox.load()).hosts[0]?.credentials).toEqual({ key: "3", secret: "1" });
  });
});
