import { describe, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Settings } from "../../src/config/settings.ts";
import { leavesOf } from "../../src/config/sourced.ts";
import { UsageError } from "../../src/errors.ts";
import { Sandbox } from "./sandbox.ts";

type Env = Record<string, string>;
type Pick = (settings: Settings) => unknown;

const everything = `[global]
HOST = http://a http://gone.example/x y://z
WORKER_CLASS = c
CACHEDIRECTORY = cache
CACHE_MIN_FREE_PERCENTAGE = 10
LOCK_NAME = lock
IPMI_HOSTNAME = h
IPMI_USER = u
IPMI_PASSWORD = p
[http://a]
TESTPOOLSERVER = rsync://a/tests
[class:c]
_SECRET_X = s
`;

test("every value has an origin", async () => {
  for (const text of ["[global]\n", everything]) {
    await using sandbox = await Sandbox.ofWorkersIni(text);
    await sandbox.write("etc/openqa/client.conf", "[a]\nkey = k\nsecret = s\n");
    const { problems, origins, ...values } = await sandbox.load();
    const paths = [...leavesOf(values)].map(([path]) => path);
    expect(paths.length).toBeGreaterThan(40);
    expect(paths.filter((path) => !origins.get(path))).toEqual([]);
    expect([...origins.keys()].sort()).toEqual(paths.sort());
    expect(problems).toEqual([]);
  }
});

test("settings cannot be changed, at any depth", async () => {
  await using sandbox = await Sandbox.ofWorkersIni(everything);
  const isFrozen = (node: unknown): boolean =>
    typeof node !== "object" ||
    node === null ||
    node instanceof Map ||
    (Object.isFrozen(node) && Object.values(node).every(isFrozen));
  expect(isFrozen(await sandbox.load())).toBe(true);
});

test("without any file the defaults hold, with a line about it (field lesson 34)", async () => {
  await using sandbox = await Sandbox.create();
  const { origins, ...settings } = await sandbox.load();
  const project = join(sandbox.base, "openqa");
  expect(settings).toEqual({
    instance: 1,
    hosts: [
      {
        name: "localhost",
        url: "http://localhost",
        shareDirectory: `${project}/share`,
        testPoolServer: undefined,
        credentials: undefined,
        retryDelayMs: 5000,
        busyRetryDelayMs: 60_000,
      },
    ],
    ignoredHosts: [],
    workerClass: undefined,
    workerHostname: undefined,
    arch: undefined,
    projectDirectory: project,
    poolDirectory: `${project}/pool/1`,
    stateDirectory: `${project}/pool/.openqa-worker`,
    cache: undefined,
    upload: { local: true, chunkBytes: 10_000_000, chunkTries: 10, firstChunkRetryDelayMs: 5000 },
    statusMinIntervalMs: 60_000,
    statusMaxIntervalMs: 300_000,
    connectIntervalMs: 10_000,
    acceptAttempts: 10,
    restTries: 60,
    terminateAfterJobsDone: false,
    packagesCommand: undefined,
    parallelOneHostOnly: undefined,
    criticalLoadAverage: 40,
    loadAverageFile: "/proc/loadavg",
    ephemeralRecheckIntervalMs: 10_000,
    throttle: undefined,
    ipmi: undefined,
    logLevel: "info",
    logDirectory: undefined,
    logFile: undefined,
    isotovideo: { path: "/usr/bin/isotovideo", isExplicit: false },
    cleansPool: true,
    vncPortOffset: 90,
    ovsDbusService: "org.opensuse.os_autoinst.switch",
    cgroupSlice: undefined,
    jobSettings: { CRITICAL_LOAD_AVG_THRESHOLD: "40", RETRY_DELAY: "5", RETRY_DELAY_IF_WEBUI_BUSY: "60" },
    own: {
      timeouts: { answerMs: 60_000, idleMs: 60_000, requestMs: 300_000, websocketMs: 20_000 },
      stop: { graceMs: 30_000, totalMs: 60_000 },
      report: { intervalMs: 10_000, watchedIntervalMs: 1000, parallelUploads: 4 },
      pictures: { parallel: 2, endDelayMs: 30_000, timeoutMs: 60_000, idleMs: 30_000 },
      spool: {
        triesBefore: 4,
        retryDelayMs: 5000,
        maxRetryDelayMs: 60_000,
        keepRefusedMs: 604_800_000,
        keepRefusedBytes: 1_073_741_824,
      },
      cache: {
        retryDelayMs: 5000,
        maxRetryDelayMs: 60_000,
        minBytesPerWindow: 65_536,
        rateWindowMs: 60_000,
        lockRetryMs: 100,
        indexWaitMs: 600_000,
      },
      limits: {
        maxFrameBytes: 64 * 1024 ** 2,
        maxJobMessageBytes: 10 * 1024 ** 2,
        maxResultFileBytes: 64 * 1024 ** 2,
      },
    },
    problems: ["workers.ini not found, using default settings"],
  });
  expect(origins.get("restTries")).toBe("default");
});

describe("keys of workers.ini", () => {
  const cases: readonly [lines: string, pick: Pick, expected: unknown][] = [
    ["WORKER_CLASS = a,b", (s) => s.workerClass, "a,b"],
    ["worker_class = a", (s) => s.workerClass, "a"],
    ["WORKER_HOSTNAME = w", (s) => s.workerHostname, "w"],
    ["ARCH = s390x", (s) => s.arch, "s390x"],
    ["CACHEDIRECTORY = 0", (s) => s.cache, undefined],
    ["CACHEDIRECTORY =", (s) => s.cache, undefined],
    [
      "CACHEDIRECTORY = /c",
      (s) => s.cache,
      {
        directory: "/c",
        testsDirectory: "/c",
        limitGib: 50,
        minFreePercentage: undefined,
        workers: 5,
        maxWaiting: 5,
        maxWaitingOfJob: 45,
        service: {
          url: undefined,
          localUrl: "http://127.0.0.1:9530",
          tries: 60,
          retryDelayMs: 5000,
          pollIntervalMs: 5000,
          checkTimeoutMs: 10_000,
        },
        sync: { timeoutMs: 1_800_000, tries: 3, retryDelayMs: 3000, rounds: 3 },
      },
    ],
    [
      "CACHEDIRECTORY=/c\nCACHELIMIT=7\nCACHEWORKERS=2\nCACHE_MIN_FREE_PERCENTAGE=12.5\nCACHESERVICEURL=http://c",
      (s) => [s.cache?.limitGib, s.cache?.minFreePercentage, s.cache?.workers, s.cache?.service.url],
      [7, 12.5, 2, "http://c"],
    ],
    ["LOCAL_UPLOAD = 0", (s) => s.upload.local, false],
    ["LOCAL_UPLOAD = 1", (s) => s.upload.local, true],
    ["UPLOAD_CHUNK_SIZE = 99", (s) => s.upload.chunkBytes, 99],
    ["UPLOAD_RETRIES = 3", (s) => s.upload.chunkTries, 3],
    ["STATUS_MIN_INTERVAL = 1.5", (s) => s.statusMinIntervalMs, 1500],
    ["STATUS_MAX_INTERVAL = 2", (s) => s.statusMaxIntervalMs, 2000],
    ["RETRY_DELAY = 0", (s) => s.hosts[0]?.retryDelayMs, 0],
    ["RETRY_DELAY_IF_WEBUI_BUSY = 1", (s) => s.hosts[0]?.busyRetryDelayMs, 1000],
    ["RETRIES = 3", (s) => s.restTries, 3],
    ["RETRIES = 0", (s) => s.restTries, 1],
    ["TERMINATE_AFTER_JOBS_DONE = 1", (s) => s.terminateAfterJobsDone, true],
    ["PACKAGES_CMD = dpkg -l | cat", (s) => s.packagesCommand, "dpkg -l | cat"],
    ["PARALLEL_ONE_HOST_ONLY = 0", (s) => s.parallelOneHostOnly, "0"],
    ["CRITICAL_LOAD_AVG_THRESHOLD = 0", (s) => s.criticalLoadAverage, 0],
    ["LOCK_NAME = n", (s) => s.throttle, { name: "n", limit: 5, expirationMs: 30_000 }],
    [
      "LOCK_NAME=n\nLOCK_LIMIT=1\nLOCK_EXPIRATION=2",
      (s) => s.throttle,
      { name: "n", limit: 1, expirationMs: 2000 },
    ],
    ["LOCK_LIMIT = 1", (s) => s.throttle, undefined],
    [
      "IPMI_HOSTNAME=h\nIPMI_USER=u\nIPMI_PASSWORD=p",
      (s) => s.ipmi,
      { hostname: "h", user: "u", password: "p", options: "-I lanplus", shutdownIntervalMs: 300_000 },
    ],
    ["IPMI_HOSTNAME=h\nIPMI_USER=u\nIPMI_PASSWORD=p\nIPMI_OPTIONS=", (s) => s.ipmi?.options, ""],
    ["IPMI_HOSTNAME=h\nIPMI_USER=u", (s) => s.ipmi, undefined],
    ["IPMI_HOSTNAME=h\nIPMI_USER=u\nIPMI_PASSWORD=p\nIPMI_AUTOSHUTDOWN_INTERVAL=0", (s) => s.ipmi, undefined],
    ["LOG_LEVEL = debug", (s) => s.logLevel, "debug"],
    ["LOG_DIR = /var/log/openqa", (s) => s.logDirectory, "/var/log/openqa"],
  ];
  test.each(cases)("%j", async (lines, pick, expected) => {
    await using sandbox = await Sandbox.ofWorkersIni(`[global]\n${lines}\n`);
    const settings = await sandbox.load();
    expect(pick(settings)).toEqual(expected);
    expect(settings.problems).toEqual([]);
  });
});

describe("environment", () => {
  const cases: readonly [env: Env, pick: Pick, expected: unknown][] = [
    [
      { OPENQA_BASEDIR: "/b" },
      (s) => [s.projectDirectory, s.poolDirectory],
      ["/b/openqa", "/b/openqa/pool/1"],
    ],
    [{ OPENQA_BASEDIR: "" }, (s) => s.projectDirectory, "/var/lib/openqa"],
    [{ OPENQA_CACHE_DIR: "/other" }, (s) => [s.cache?.directory, s.cache?.testsDirectory], ["/other", "/c"]],
    [{ OPENQA_BASE_PORT: "1000" }, (s) => s.cache?.service.localUrl, "http://127.0.0.1:1004"],
    [{ OPENQA_CACHE_ATTEMPTS: "2" }, (s) => s.cache?.service.tries, 2],
    [{ OPENQA_CACHE_ATTEMPT_SLEEP_TIME: "0.5" }, (s) => s.cache?.service.retryDelayMs, 500],
    [{ OPENQA_CACHE_SERVICE_POLL_DELAY: "1" }, (s) => s.cache?.service.pollIntervalMs, 1000],
    [
      { OPENQA_WORKER_CACHE_SERVICE_CHECK_INACTIVITY_TIMEOUT: "1" },
      (s) => s.cache?.service.checkTimeoutMs,
      1000,
    ],
    [
      { OPENQA_CACHE_MAX_INACTIVE_JOBS: "8" },
      (s) => [s.cache?.maxWaiting, s.cache?.maxWaitingOfJob],
      [8, 48],
    ],
    [
      { OPENQA_CACHE_MAX_INACTIVE_JOBS: "-1" },
      (s) => [s.cache?.maxWaiting, s.cache?.maxWaitingOfJob],
      [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
    ],
    [{ OPENQA_CACHE_MAX_INACTIVE_JOBS_HARD_LIMIT: "6" }, (s) => s.cache?.maxWaitingOfJob, 6],
    [{ OPENQA_RSYNC_TIMEOUT: "60" }, (s) => s.cache?.sync.timeoutMs, 60_000],
    [{ OPENQA_RSYNC_RETRIES: "1" }, (s) => s.cache?.sync.tries, 1],
    [{ OPENQA_RSYNC_RETRY_PERIOD: "1" }, (s) => s.cache?.sync.retryDelayMs, 1000],
    [{ OPENQA_CACHE_SERVICE_TEST_SYNC_ATTEMPTS: "1" }, (s) => s.cache?.sync.rounds, 1],
    [{ OPENQA_WORKER_CACHE_RETRY_DELAY_MS: "9" }, (s) => s.own.cache.retryDelayMs, 9],
    [{ OPENQA_LOGFILE: "f" }, (s) => s.logFile, "f"],
    [{ OPENQA_LOAD_AVG_FILE: "/l" }, (s) => s.loadAverageFile, "/l"],
    [
      { OPENQA_WORKER_LOG_DIR: "/logs" },
      (s) => [s.logDirectory, s.jobSettings["LOG_DIR"]],
      ["/logs", "/logs"],
    ],
    [{ OPENQA_WORKER_LOG_DIR: "" }, (s) => s.logDirectory, "/ini"],
    [
      { OPENQA_WORKER_TERMINATE_AFTER_JOBS_DONE: "1" },
      (s) => [s.terminateAfterJobsDone, s.jobSettings["TERMINATE_AFTER_JOBS_DONE"]],
      [true, "1"],
    ],
    [{ OPENQA_WORKER_CONNECT_INTERVAL: "0.5" }, (s) => s.connectIntervalMs, 500],
    [{ OPENQA_WORKER_CONNECT_RETRIES: "2" }, (s) => s.restTries, 2],
    [{ OPENQA_WORKER_STATUS_MIN_INTERVAL: "1" }, (s) => s.statusMinIntervalMs, 1000],
    [{ OPENQA_WORKER_STATUS_MAX_INTERVAL: "2" }, (s) => s.statusMaxIntervalMs, 2000],
    [{ OPENQA_WORKER_ACCEPT_ATTEMPTS: "4" }, (s) => s.acceptAttempts, 4],
    [{ OPENQA_WORKER_EPHEMERAL_RECHECK_INTERVAL: "3" }, (s) => s.ephemeralRecheckIntervalMs, 3000],
    [{ OPENQA_UPLOAD_DELAY: "0" }, (s) => s.upload.firstChunkRetryDelayMs, 0],
    [{ VNCPORT_OFFSET: "100" }, (s) => s.vncPortOffset, 100],
    [{ OVS_DBUS_SERVICE_NAME: "o" }, (s) => s.ovsDbusService, "o"],
    [{ OPENQA_CGROUP_SLICE: "c" }, (s) => s.cgroupSlice, "c"],
    [{ OPENQA_WORKER_STOP_GRACE_MS: "7" }, (s) => s.own.stop.graceMs, 7],
    [{ OPENQA_WORKER_LIMITS_MAX_FRAME_BYTES: "70000" }, (s) => s.own.limits.maxFrameBytes, 70_000],
  ];
  test.each(cases)("%j wins over the files", async (env, pick, expected) => {
    await using sandbox = await Sandbox.ofWorkersIni(
      "[global]\nCACHEDIRECTORY=/c\nLOG_DIR=/ini\nTERMINATE_AFTER_JOBS_DONE=0\nRETRIES=9\nSTATUS_MIN_INTERVAL=9\nSTATUS_MAX_INTERVAL=9\n",
    );
    await sandbox.write(
      "etc/openqa/openqa-worker.toml",
      "[stop]\ngrace_ms = 1\n[limits]\nmax_frame_bytes = 65536\n",
    );
    const settings = await sandbox.load({ env });
    expect(pick(settings)).toEqual(expected);
    expect(settings.problems).toEqual([]);
    const [name = ""] = Object.keys(env);
    if (env[name] !== "") expect([...settings.origins.values()]).toContain(`$${name}`);
  });

  test("--directory wins over $OPENQA_CACHE_DIR", async () => {
    await using sandbox = await Sandbox.create();
    const flags = { cacheDirectory: "/flag" };
    const { cache } = await sandbox.load({ env: { OPENQA_CACHE_DIR: "/c" }, flags });
    expect(cache).toMatchObject({ directory: "/flag", testsDirectory: "/flag" });
  });

  test("$OPENQA_CACHE_DIR does not turn caching on", async () => {
    await using sandbox = await Sandbox.create();
    expect((await sandbox.load({ env: { OPENQA_CACHE_DIR: "/c" } })).cache).toBeUndefined();
  });

  test("a wrong value of an own setting is wrong usage", async () => {
    await using sandbox = await Sandbox.create();
    for (const value of ["x", "-1", "1.5"]) {
      const loading = sandbox.load({ env: { OPENQA_WORKER_STOP_GRACE_MS: value } });
      await expect(loading).rejects.toThrow(
        `$OPENQA_WORKER_STOP_GRACE_MS is "${value}", expected a whole number`,
      );
    }
  });
});

describe("flags", () => {
  test("win over everything and are the origin", async () => {
    await using sandbox = await Sandbox.ofWorkersIni("[global]\nHOST=http://ini\nLOG_LEVEL=error\n");
    await writeFile(join(sandbox.cwd, "isotovideo"), "");
    const settings = await sandbox.load({
      flags: {
        host: "http://flag",
        instance: "1",
        apikey: "k",
        apisecret: "s",
        isotovideo: "isotovideo",
        cleanup: false,
        verbose: true,
      },
      env: { OPENQA_API_KEY: "no", OPENQA_API_SECRET: "no" },
    });
    expect(settings).toMatchObject({
      hosts: [{ url: "http://flag", credentials: { key: "k", secret: "s" } }],
      logLevel: "debug",
      cleansPool: false,
      isotovideo: { path: join(sandbox.cwd, "isotovideo"), isExplicit: true },
      jobSettings: { LOG_LEVEL: "debug" },
    });
    const origins = new Set(settings.origins.values());
    for (const flag of ["host", "instance", "apikey", "apisecret", "isotovideo", "no-cleanup", "verbose"]) {
      expect(origins).toContain(`--${flag}`);
    }
  });

  test("a path of isotovideo that is no file is wrong usage; the default is not looked at", async () => {
    await using sandbox = await Sandbox.create();
    const loading = sandbox.load({ flags: { isotovideo: "no/such" } });
    await expect(loading).rejects.toThrow(new UsageError("Path to isotovideo invalid: no/such"));
  });
});

describe("what jobs get", () => {
  test("is every key of the slot in upper case but HOST, and no host's", async () => {
    await using sandbox = await Sandbox.ofWorkersIni(
      "[global]\nhost = http://a\nfoo = 1\nWORKER_CLASS = c\nRETRY_DELAY=9\n[1]\nbar = 2\n[2]\nX=1\n[class:c]\nbaz = 3\n[http://a]\nTESTPOOLSERVER = t\n",
    );
    expect((await sandbox.load()).jobSettings).toEqual({
      FOO: "1",
      WORKER_CLASS: "c",
      BAR: "2",
      BAZ: "3",
      CRITICAL_LOAD_AVG_THRESHOLD: "40",
      RETRY_DELAY: "9",
      RETRY_DELAY_IF_WEBUI_BUSY: "60",
    });
  });

  test("is of openqa-worker.toml only what [job_settings] says", async () => {
    await using sandbox = await Sandbox.ofWorkersIni("[global]\nRETRIES=9\nWORKER_CLASS=a\nFOO=1\n");
    await sandbox.write(
      "etc/openqa/openqa-worker.toml",
      "[worker]\nretries = 3\nretry_delay = 1\nworker_class = 'b'\n[job_settings]\nfoo = 2\nnew = true\n",
    );
    const settings = await sandbox.load();
    expect(settings).toMatchObject({ restTries: 3, workerClass: "b", hosts: [{ retryDelayMs: 1000 }] });
    expect(settings.jobSettings).toEqual({
      RETRIES: "9",
      WORKER_CLASS: "a",
      FOO: "2",
      NEW: "1",
      CRITICAL_LOAD_AVG_THRESHOLD: "40",
      RETRY_DELAY: "5",
      RETRY_DELAY_IF_WEBUI_BUSY: "60",
    });
    const toml = join(sandbox.etc, "openqa-worker.toml");
    expect(settings.origins.get("restTries")).toBe(`${toml}:2`);
    expect(settings.origins.get("jobSettings.FOO")).toBe(`${toml}:6`);
  });
});

describe("errors in files", () => {
  test("a faulty INI file is left out as a whole, the others count", async () => {
    await using sandbox = await Sandbox.create({
      "etc/openqa/workers.ini": "[global]\nRETRIES = 3\n",
      "etc/openqa/workers.ini.d/a.ini": "[global]\nRETRIES = 4\nnonsense\n",
      "etc/openqa/workers.ini.d/b.ini": "[global]\nUPLOAD_RETRIES = 5\n",
      "etc/openqa/client.conf": "key = k\n",
    });
    const settings = await sandbox.load();
    expect(settings).toMatchObject({ restTries: 3, upload: { chunkTries: 5 } });
    expect(settings.problems).toEqual([
      `${sandbox.etc}/workers.ini.d/a.ini:3: no section, assignment or comment; the whole file is ignored`,
      `${sandbox.etc}/client.conf:1: assignment before the first section; the whole file is ignored`,
    ]);
  });

  test("an unusable number counts as not set, with a line about it", async () => {
    await using sandbox = await Sandbox.ofWorkersIni(
      "[global]\nRETRIES = many\nSTATUS_MIN_INTERVAL =\nRETRY_DELAY = -1\nLOG_LEVEL = loud\nCACHEDIRECTORY=/c\nCACHE_MIN_FREE_PERCENTAGE=200\nCACHELIMIT=9.9\nSTATUS_MAX_INTERVAL = 2147484\n[localhost]\nRETRY_DELAY_IF_WEBUI_BUSY=x\n",
    );
    const settings = await sandbox.load({
      env: { OPENQA_WORKER_CONNECT_RETRIES: "0x", OPENQA_UPLOAD_DELAY: "NaN" },
    });
    expect(settings).toMatchObject({
      restTries: 60,
      statusMinIntervalMs: 60_000,
      statusMaxIntervalMs: 300_000,
      hosts: [{ retryDelayMs: 5000, busyRetryDelayMs: 60_000 }],
      logLevel: "info",
      cache: { limitGib: 9, minFreePercentage: undefined },
    });
    expect(settings.origins.get("restTries")).toBe("default");
    const ini = join(sandbox.etc, "workers.ini");
    expect([...settings.problems].sort()).toEqual(
      [
        '$OPENQA_UPLOAD_DELAY: OPENQA_UPLOAD_DELAY is "NaN", expected a number from 0 to 2147483; ignored',
        '$OPENQA_WORKER_CONNECT_RETRIES: RETRIES is "0x", expected a number from 0 to 1000000; ignored',
        `${ini}:2: RETRIES is "many", expected a number from 0 to 1000000; ignored`,
        `${ini}:4: RETRY_DELAY is "-1", expected a number from 0 to 2147483; ignored`,
        `${ini}:5: LOG_LEVEL is "loud", expected trace, debug, info, warn, error, fatal; the default info is used`,
        `${ini}:7: CACHE_MIN_FREE_PERCENTAGE is "200", expected a number from 0 to 100; ignored`,
        `${ini}:9: STATUS_MAX_INTERVAL is "2147484", expected a number from 0.01 to 2147483; ignored`,
        `${ini}:11: RETRY_DELAY_IF_WEBUI_BUSY is "x", expected a number from 0 to 2147483; ignored`,
      ].sort(),
    );
  });

  test("an error in openqa-worker.toml or one of its drop-ins is wrong usage; later files win", async () => {
    await using sandbox = await Sandbox.create({
      "etc/openqa/openqa-worker.toml": "[stop]\ngrace_ms = 1\ntotal_ms = 5\n",
      "etc/openqa/openqa-worker.toml.d/a.toml": "[stop]\ngrace_ms = 2\n",
    });
    const { own, problems } = await sandbox.load();
    expect(own.stop).toEqual({ graceMs: 2, totalMs: 5 });
    expect(problems).toEqual([]);
    await sandbox.write("etc/openqa/openqa-worker.toml.d/b.toml", "x");
    await expect(sandbox.load()).rejects.toBeInstanceOf(UsageError);
  });

  test("an openqa-worker.toml that cannot be read is wrong usage", async () => {
    await using sandbox = await Sandbox.create();
    await mkdir(join(sandbox.etc, "openqa-worker.toml"), { recursive: true });
    await expect(sandbox.load()).rejects.toThrow("openqa-worker.toml: no regular file");
  });
});
