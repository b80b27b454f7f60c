import { expect, test } from "bun:test";
import type { Job } from "../../../src/job/job.ts";
import { commandServerUrl, hostSettings, isotovideoSettings } from "../../../src/job/set-up/job-settings.ts";
import { loadedSettings } from "../job-host.ts";

function jobOf(settings: Record<string, string>): Job {
  return { id: "12", settings, received: { id: 12, settings } };
}

const host = (name: string) => ({ host: { name } });

test("settings that only the host may set are dropped from the job and taken from the host", async () => {
  const settings = await loadedSettings(
    "[global]\nGENERAL_HW_CMD_DIR = /host\nEXTERNAL_VIDEO_ENCODER_CMD = mine\n",
  );
  const job = jobOf({
    GENERAL_HW_CMD_DIR: "/evil",
    GIT_CACHE_DIR: "/evil",
    GIT_CACHE_DIR_LIMIT: "1",
    SYNC_ASSETS_HOOK: "evil",
    EXTERNAL_VIDEO_ENCODER_CMD: "evil",
    EXTERNAL_VIDEO_ENCODER_OUTPUT_FILE_EXTENSION: "evil",
    GENERAL_HW_CMD_DIR_X: "kept",
  });
  const found = hostSettings(job, settings, host("localhost"));
  expect(Object.values(found)).not.toContain("evil");
  expect(Object.values(found)).not.toContain("/evil");
  expect(found).toMatchObject({
    GENERAL_HW_CMD_DIR: "/host",
    EXTERNAL_VIDEO_ENCODER_CMD: "mine",
    GENERAL_HW_CMD_DIR_X: "kept",
  });
  expect(found).not.toHaveProperty("SYNC_ASSETS_HOOK");
});

test("the worker's settings win over the job's, also its class", async () => {
  const settings = await loadedSettings("[global]\nWORKER_CLASS = a,b\nQEMURAM = 2\n");
  const found = hostSettings(
    jobOf({ WORKER_CLASS: "a", QEMURAM: "1", DISTRI: "x" }),
    settings,
    host("localhost"),
  );
  expect(found).toMatchObject({ WORKER_CLASS: "a,b", QEMURAM: "2", DISTRI: "x" });
});

test("ports depend on the instance, whatever the job says", async () => {
  const settings = await loadedSettings("[global]\n", { instance: 3 });
  const job = jobOf({ QEMUPORT: "1", VNC: "1", OPENQA_HOSTNAME: "evil", JOBTOKEN: "token" });
  const found = hostSettings(job, settings, host("http://openqa.example:9526"));
  expect(found).toMatchObject({ QEMUPORT: "20032", VNC: "93", OPENQA_HOSTNAME: "openqa.example:9526" });
  expect(commandServerUrl(found)).toBe("http://localhost:20033/token");
  const moved = await loadedSettings("[global]\n", { instance: 3, env: { VNCPORT_OFFSET: "200" } });
  expect(hostSettings(job, moved, host("h"))).toMatchObject({ VNC: "203" });
});

const names: readonly (readonly [string, string])[] = [
  ["localhost", "localhost"],
  ["localhost:9526", "localhost:9526"],
  ["https://openqa.example/", "openqa.example"],
  ["http://openqa.example:80/path", "openqa.example:80"],
  ["http://[::1]:80", "[::1]:80"],
];
for (const [entry, expected] of names)
  test(`OPENQA_HOSTNAME of the entry ${entry} is ${expected}`, async () => {
    const found = hostSettings(jobOf({}), await loadedSettings("[global]\n"), host(entry));
    expect(found["OPENQA_HOSTNAME"]).toBe(expected);
  });

test("isotovideo also learns who and where it is, unless that is set", async () => {
  const settings = await loadedSettings("[global]\n", { instance: 2 });
  const webUi = { host: { ...settings.hosts[0]!, name: "http://openqa.example" }, workerId: 7 };
  expect(isotovideoSettings({ A: "a" }, settings, webUi)).toEqual({
    A: "a",
    OPENQA_URL: "http://openqa.example",
    WORKER_INSTANCE: "2",
    WORKER_ID: "7",
  });
  const given = { OPENQA_URL: "mine", WORKER_INSTANCE: "9", WORKER_ID: "9" };
  expect(isotovideoSettings(given, settings, webUi)).toEqual(given);
});

test("the job itself is not changed, and odd keys are kept", async () => {
  const given: Record<string, string> = Object.freeze(
    JSON.parse('{"__proto__":"x","":"y","constructor":"z"}'),
  );
  const found = hostSettings(jobOf(given), await loadedSettings("[global]\nA = 1\n"), host("localhost"));
  expect(Object.entries(found)).toEqual(expect.arrayContaining(Object.entries(given)));
});
