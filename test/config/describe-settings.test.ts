import { expect, test } from "bun:test";
import { describeSettings } from "../../src/config/describe-settings.ts";
import { leavesOf } from "../../src/config/sourced.ts";
import { Sandbox } from "./sandbox.ts";

const workersIni = `[global]
HOST = a
IPMI_HOSTNAME = h
IPMI_USER = u
IPMI_PASSWORD = hidden1
_SECRET_TOKEN = hidden2
SUT_PASSWORD_2 = hidden3
FOO = shown
`;

test("shows every value on a line of its own, with its origin and without secrets", async () => {
  await using sandbox = await Sandbox.ofWorkersIni(workersIni);
  await sandbox.write("etc/openqa/client.conf", "[a]\nkey = public\nsecret = hidden4\n");
  await sandbox.write("etc/openqa/openqa-worker.toml", '[job_settings]\ntext = "two\\nlines"\n');
  const settings = await sandbox.load({
    env: { OPENQA_WORKER_CONNECT_RETRIES: "2" },
    flags: { verbose: true },
  });
  const text = describeSettings(settings);
  const lines = text.split("\n");
  const { problems, origins, ...values } = settings;
  expect(lines.pop()).toBe("");
  expect(lines).toHaveLength([...leavesOf(values)].length);
  expect(text).not.toContain("hidden");
  const ini = `${sandbox.etc}/workers.ini`;
  for (const line of [
    `hosts.0.url = "http://a"  (${ini}:2)`,
    `hosts.0.credentials.key = "public"  (${sandbox.etc}/client.conf:2)`,
    `hosts.0.credentials.secret = [masked]  (${sandbox.etc}/client.conf:3)`,
    `ipmi.password = [masked]  (${ini}:5)`,
    `jobSettings.IPMI_PASSWORD = [masked]  (${ini}:5)`,
    `jobSettings._SECRET_TOKEN = [masked]  (${ini}:6)`,
    `jobSettings.SUT_PASSWORD_2 = [masked]  (${ini}:7)`,
    `jobSettings.FOO = "shown"  (${ini}:8)`,
    `jobSettings.TEXT = "two\\nlines"  (${sandbox.etc}/openqa-worker.toml:2)`,
    `restTries = 2  ($OPENQA_WORKER_CONNECT_RETRIES)`,
    `logLevel = "debug"  (--verbose)`,
    `cache = (unset)  (default)`,
    `own.stop.graceMs = 30000  (default)`,
  ]) {
    expect(lines).toContain(line);
  }
});
