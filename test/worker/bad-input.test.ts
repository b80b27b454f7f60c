// What the worker does with input that is wrong or hostile, on the built executable: a clear log line, the defined
// reaction, and it lives on: after each case it takes a job and finishes it.
import { describe, expect, test } from "bun:test";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type FakeWebUi, type FaultAction, fieldOf, fileNameOf, htmlPage } from "../support/fake-web-ui.ts";
import { plainJob, type TemporaryWorker } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  moduleReported,
  openHost,
  openWebUi,
  openWorker,
  rejected,
  stopHostsAfterEach,
} from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 60_000;
const mib = 1024 * 1024;
/** Slow enough for the reporter to see the modules one after the other. */
const slowJob = { ...plainJob, FAKE_SECONDS: "1" };
const longJob = { ...slowJob, FAKE_LINGER: "60" };

describe("a message of the web UI", () => {
  const ignored: readonly { title: string; text: string; log: RegExp }[] = [
    { title: "no JSON", text: "this is no JSON", log: /\[warn\].*JSON/ },
    { title: "nested without end", text: "[".repeat(200_000), log: /\[warn\].*JSON/ },
    { title: "a list", text: "[1,2]", log: /\[warn\].*object/ },
    { title: "a text", text: '"grab_job"', log: /\[warn\].*object/ },
    { title: "null", text: "null", log: /\[warn\].*object/ },
    { title: "without a type", text: '{"jobid":1}', log: /\[warn\].*type/ },
    { title: "of a type that is no text", text: '{"type":{"a":1}}', log: /\[warn\].*type/ },
    { title: "of an unknown type", text: '{"type":"make_coffee"}', log: /\[warn\].*make_coffee/ },
    { title: "a stop without a job", text: '{"type":"cancel"}', log: /\[warn\].*cancel/ },
    {
      title: "a stop for a job that is not here",
      text: '{"type":"cancel","jobid":999}',
      log: /\[warn\].*999/,
    },
    {
      title: "a live view of another job",
      text: '{"type":"livelog_start","jobid":998}',
      log: /\[warn\].*998/,
    },
    { title: "an offer without a job", text: '{"type":"grab_job"}', log: /\[warn\].*grab_job/ },
    { title: "an offer of null", text: '{"type":"grab_job","job":null}', log: /\[warn\].*grab_job/ },
    {
      title: "an offer whose id leads elsewhere",
      text: '{"type":"grab_job","job":{"id":"../../workers","settings":{"NAME":"x"}}}',
      log: /\[warn\].*grab_job/,
    },
    { title: "a queue without data", text: '{"type":"grab_jobs","job_info":{}}', log: /\[warn\].*grab_jobs/ },
  ];
  for (const { title, text, log } of ignored)
    test(
      `${title}: is named and ignored`,
      async () => {
        const { ui, worker, workerId } = await openHost();
        ui.send(workerId, text);
        await worker.awaitLog(log);
        expect(worker.log).not.toContain("[".repeat(2000));
        await finishesNextJob(ui);
        expectOneConnection(ui);
        expect(ui.requests.filter(({ path }) => path.includes(".."))).toEqual([]);
      },
      testMs,
    );

  const invalid: readonly { title: string; job: unknown; id: string }[] = [
    { title: "without settings", job: { id: 71 }, id: "71" },
    { title: "with a list as settings", job: { id: 72, settings: ["a"] }, id: "72" },
    { title: "with null as settings", job: { id: "73", settings: null }, id: "73" },
  ];
  for (const { title, job, id } of invalid)
    test(
      `a job ${title}: is rejected`,
      async () => {
        const { ui, workerId } = await openHost();
        ui.send(workerId, { type: "grab_job", job });
        expect((await rejected(ui, id)).value["reason"]).toStartWith("the provided job is invalid");
        await finishesNextJob(ui);
      },
      testMs,
    );

  test(
    "too big for a job: the job is rejected with the size, the connection stays",
    async () => {
      const { ui, worker } = await openHost();
      const job = ui.offer({ ...plainJob, BIG: "x".repeat(11 * mib) });
      const reason = String((await rejected(ui, job.id)).value["reason"]);
      expect(reason).toMatch(/\b1153\d{4} bytes/);
      await worker.awaitLog(/\[warn\].*1153\d{4} bytes/);
      await finishesNextJob(ui);
      expectOneConnection(ui);
    },
    testMs,
  );

  test(
    "too big for a frame: the connection ends, the worker comes back",
    async () => {
      const { ui, worker, workerId } = await openHost({ own: { "limits.max_frame_bytes": mib } });
      const from = ui.now;
      ui.send(workerId, JSON.stringify({ type: "info", text: "x".repeat(2 * mib) }));
      await worker.awaitLog(/\[(warn|error)\].*(1006|1009|frame|payload|big)/i);
      await ui.message({ type: "worker_status", status: "free" }, { from });
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "a stop or a job of a host that the running job does not belong to",
    async () => {
      const [mine, other] = [await openWebUi(), await openWebUi()];
      const worker = await openWorker([mine, other]);
      await mine.registered();
      const otherId = await other.registered();
      const job = mine.offer({ ...slowJob, FAKE_LINGER: "2" });
      await moduleReported(mine, job);
      other.send(otherId, { type: "cancel", jobid: job.id });
      await worker.awaitLog(/\[warn\].*cancel/);
      const refused = other.offer(plainJob);
      const { value } = await rejected(other, refused.id);
      expect(value["reason"]).toBe(`already busy with a job from ${mine.url}`);
      await mine.setDone(job.id);
      expect(job.result).toBe("passed");
      await finishesNextJob(other);
    },
    testMs,
  );

  test(
    "the running job once more: is ignored; another one: is rejected",
    async () => {
      const { ui, workerId } = await openHost();
      const job = ui.offer({ ...slowJob, FAKE_LINGER: "2" });
      await moduleReported(ui, job);
      ui.send(workerId, { type: "grab_job", job: ui.state.asSent(job) });
      const other = ui.offer(plainJob);
      const reason = `already busy with job(s) ${job.id}`;
      expect((await rejected(ui, other.id)).value["reason"]).toBe(reason);
      await ui.setDone(job.id);
      expect(job.result).toBe("passed");
      const answers = ui.messages.filter(
        ({ value }) => value["type"] === "accepted" || value["type"] === "rejected",
      );
      expect(answers.map(({ value }) => value["type"])).toEqual(["accepted", "rejected"]);
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "incompatible: the worker says so and ends",
    async () => {
      const { ui, worker, workerId } = await openHost();
      ui.send(workerId, { type: "incompatible" });
      await worker.awaitLog(/\[error\].*incompatible/i);
      expect((await worker.exit()).code).toBe(0);
    },
    testMs,
  );
});

describe("job settings", () => {
  const odd: readonly { title: string; settings: Record<string, unknown> }[] = [
    { title: "a number", settings: { NUMBER: 5 } },
    { title: "null", settings: { NOTHING: null } },
    { title: "an object", settings: { NESTED: { a: [1] } } },
    { title: "a number as token", settings: { JOBTOKEN: 12345 } },
    { title: "no name", settings: { NAME: null } },
  ];
  for (const { title, settings } of odd)
    test(
      `${title}: the job is rejected or runs, it is never left unanswered`,
      async () => {
        const { ui } = await openHost();
        const job = ui.offer({ ...plainJob, ...settings });
        await Promise.race([rejected(ui, job.id), ui.setDone(job.id)]);
        await finishesNextJob(ui);
      },
      testMs,
    );

  test(
    "names that mean something to the language are settings like others",
    async () => {
      const { ui } = await openHost();
      const settings = JSON.parse('{"__proto__":"a","constructor":"b","toString":"%__proto__%"}') as object;
      const job = ui.offer({ ...plainJob, ...settings });
      await ui.setDone(job.id);
      expect(job.result).toBe("passed");
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "10 MB of settings reach isotovideo",
    async () => {
      const { ui } = await openHost();
      const job = ui.offer({ ...plainJob, BIG: "x".repeat(10_000_000) });
      await ui.setDone(job.id);
      expect(job.result).toBe("passed");
      expect(job.files.get("vars.json")!.length).toBeGreaterThan(10_000_000);
      await finishesNextJob(ui);
    },
    testMs,
  );

  const assets = [
    "../../../outside.json",
    "sub/../../../outside.json",
    "..",
    ".",
    "iso/",
    "/etc/hostname",
    "a\nb",
  ];
  for (const name of assets)
    for (const key of ["ISO", "ASSET_1"])
      test(
        `asset ${key}=${JSON.stringify(name)}: the set-up fails and nothing is linked`,
        async () => {
          const { ui, worker } = await openHost();
          const untouched = await outsideFiles(worker);
          const job = ui.offer({ ...longJob, [key]: name });
          const { query } = await ui.setDone(job.id);
          expect(query.get("result")).toBe("incomplete");
          expect(query.get("reason")).toStartWith("asset failure: ");
          await untouched(ui);
          await finishesNextJob(ui);
        },
        testMs,
      );

  test(
    "an asset named like the slot's lock leaves the lock alone",
    async () => {
      const { ui, worker } = await openHost();
      await mkdir(join(worker.folder, "openqa/share/factory/other"), { recursive: true });
      await writeFile(join(worker.folder, "openqa/share/factory/other/.locked"), "");
      const lock = await stat(join(worker.pool(), ".locked"));
      const job = ui.offer({ ...plainJob, ASSET_1: ".locked" });
      await ui.setDone(job.id);
      expect((await stat(join(worker.pool(), ".locked"))).ino).toBe(lock.ino);
      await finishesNextJob(ui);
    },
    testMs,
  );

  const folders: readonly Record<string, string>[] = [
    { NEEDLES_DIR: ".." },
    { NEEDLES_DIR: "x/.." },
    { NEEDLES_DIR: "." },
    { NEEDLES_DIR: ".locked" },
    { NEEDLES_DIR: "%CASEDIR%/.." },
    { NEEDLES_DIR: "%CASEDIR%/../../outside" },
    { DISTRI: ".." },
    { DISTRI: "../.." },
    { DISTRI: "." },
    { DISTRI: "" },
    { CASEDIR: ".." },
    { CASEDIR: "../../.." },
    { CASEDIR: ".", NEEDLES_DIR: "../.." },
    { PRODUCTDIR: "../../.." },
  ];
  for (const settings of folders)
    test(
      `${JSON.stringify(settings)}: nothing outside the pool and no lock is removed or replaced`,
      async () => {
        const { ui, worker } = await openHost();
        const untouched = await outsideFiles(worker);
        const lock = await stat(join(worker.pool(), ".locked"));
        const job = ui.offer({ ...plainJob, ...settings });
        await ui.setDone(job.id);
        await untouched(ui);
        expect((await stat(join(worker.pool(), ".locked"))).ino).toBe(lock.ino);
        await finishesNextJob(ui);
      },
      testMs,
    );
});

describe("what a job leaves in its pool", () => {
  const bootOnly = ["boot"];
  const cases: readonly { kind: string; log?: RegExp; reported?: readonly string[] }[] = [
    { kind: "missing", reported: bootOnly },
    { kind: "half", log: /\[(warn|error)\].*result-shell\.json/, reported: bootOnly },
    { kind: "nojson", log: /\[(warn|error)\].*result-shell\.json/, reported: bootOnly },
    { kind: "huge", log: /\[(warn|error)\].*result-shell\.json/, reported: bootOnly },
    { kind: "symlink-result", log: /\[(warn|error)\].*result-shell\.json/, reported: bootOnly },
    { kind: "symlinks", log: /\[(warn|error)\].*link\.(png|txt)/, reported: ["boot", "shell"] },
    {
      kind: "symlink-state",
      log: /\[(warn|error)\].*(test_order|autoinst-status|base_state)/,
    },
    { kind: "symlink-own", log: /\[(warn|error)\].*(vars\.json|log\.txt)/, reported: ["boot", "shell"] },
    { kind: "symlink-folder", log: /\[(warn|error)\].*testresults/ },
    {
      kind: "traversal",
      log: /\[(warn|error)\].*result-shell\.json.*bare file name/,
      reported: ["boot", "shell"],
    },
    { kind: "fifo", log: /\[(warn|error)\].*fifo/, reported: ["boot", "shell"] },
  ];
  for (const { kind, log, reported } of cases)
    test(
      `${kind}: the job ends, nothing from outside is read, uploaded or changed`,
      async () => {
        const { ui, worker } = await openHost({ own: { "limits.max_result_file_bytes": mib } });
        const untouched = await outsideFiles(worker);
        const outside = { FAKE_BAD_RESULTS: kind, FAKE_OUTSIDE: join(worker.folder, "outside/outside.json") };
        const job = ui.offer({ ...plainJob, FAKE_LINGER: "1", ...outside });
        await ui.setDone(job.id);
        if (log) expect(worker.log).toMatch(log);
        if (reported) expect([...job.results.keys()]).toEqual([...reported]);
        expect(ui.uploadsOf(job.id).filter((name) => /link|fifo|outside|result-|\//.test(name))).toEqual([]);
        await untouched(ui);
        await finishesNextJob(ui);
        await untouched(ui);
      },
      testMs,
    );

  for (const half of ["autoinst-status.json", "testresults/test_order.json"])
    test(
      `${half} half written: is named, the job ends`,
      async () => {
        const { ui, worker } = await openHost();
        const job = ui.offer({ ...plainJob, FAKE_LINGER: "1", FAKE_HALF: half });
        await ui.setDone(job.id);
        await worker.awaitLog(new RegExp(`\\[(warn|error)\\].*${half.replace(/.*\//, "")}`));
        await finishesNextJob(ui);
      },
      testMs,
    );
});

describe("a web UI that", () => {
  const badAnswers: readonly { title: string; action: FaultAction }[] = [
    { title: "answers HTML", action: htmlPage },
    { title: "answers nothing", action: { status: 200 } },
    {
      title: "answers a JSON list",
      action: { status: 200, headers: { "content-type": "application/json" }, body: "[]" },
    },
    { title: "answers byte by byte", action: { msPerByte: 2 } },
    { title: "breaks off", action: "cut answer" },
    { title: "loses an answer", action: "lose answer" },
    { title: "resets the connection", action: "reset" },
    { title: "never answers", action: "hang" },
    { title: "speaks something else", action: { raw: "220 smtp.example.com ESMTP\r\n" } },
    { title: "is busy", action: { status: 503, body: "<html>busy</html>" } },
  ];
  const calls = [
    { call: "a status post", matcher: /POST .*\/status/ },
    { call: "an upload", matcher: /POST .*\/artefact/ },
  ];
  for (const { title, action } of badAnswers)
    for (const { call, matcher } of calls)
      test(
        `${title} to ${call} is asked again or believed, the job passes`,
        async () => {
          const { ui } = await openHost({ own: { "timeouts.answer_ms": 1000, "timeouts.request_ms": 2000 } });
          ui.fault(matcher, action);
          await finishesNextJob(ui);
          await finishesNextJob(ui);
        },
        testMs,
      );

  for (const { title, action } of badAnswers)
    test(
      `${title} to set_done does not hold up the slot`,
      async () => {
        const { ui } = await openHost({ own: { "timeouts.answer_ms": 1000, "timeouts.request_ms": 2000 } });
        ui.fault(/set_done/, action);
        ui.offer(plainJob);
        const from = (await ui.request(/set_done/)).index;
        await ui.message({ type: "worker_status", status: "free" }, { from });
        await finishesNextJob(ui);
      },
      testMs,
    );

  const failing = badAnswers.filter(({ action }) => ["reset", "hang", "cut answer"].includes(String(action)));
  for (const { title, action } of [...failing, { title: "is out of order", action: { status: 502 } }])
    test(
      `${title} at the registration is asked again`,
      async () => {
        const ui = await openWebUi();
        ui.fault(/POST \/api\/v1\/workers/, action, 2);
        const worker = await openWorker(ui, {
          own: { "timeouts.answer_ms": 500, "timeouts.request_ms": 1000 },
        });
        await ui.registered();
        expect(worker.log).toMatch(/\[(warn|error)\].*register/i);
        await finishesNextJob(ui);
      },
      testMs,
    );

  for (const action of [
    { status: 502 },
    { status: 400, body: "Unknown worker" },
    htmlPage,
    "reset",
    "hang",
  ] as const)
    test(
      `refuses the websocket (${JSON.stringify(action)}) is asked again, with a new registration`,
      async () => {
        const ui = await openWebUi();
        ui.fault(/GET .*\/ws\//, action);
        await openWorker(ui, { own: { "timeouts.websocket_ms": 500 } });
        await ui.registered();
        expect(ui.requests.filter(({ path }) => path === "/api/v1/workers").length).toBeGreaterThanOrEqual(2);
        await finishesNextJob(ui);
      },
      testMs,
    );

  test(
    "is away at the start is waited for",
    async () => {
      const ui = await openWebUi();
      await ui.goAway();
      const worker = await openWorker(ui);
      await worker.awaitLog(/\[(warn|error)\].*register/i);
      await ui.comeBack();
      await ui.registered();
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "goes away while the slot is idle is found again",
    async () => {
      const { ui, worker } = await openHost();
      await ui.goAway();
      await worker.awaitLog(/\[(warn|error)\].*register/i);
      const from = ui.now;
      await ui.comeBack();
      await ui.message({ type: "worker_status", status: "free" }, { from });
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "goes away while a job runs, for longer than all tries, ends no job (field lesson 22)",
    async () => {
      const { ui, worker } = await openHost();
      const job = ui.offer({ ...plainJob, FAKE_SECONDS: "4" });
      await ui.request(({ path, answer }) => path.endsWith("/status") && answer !== undefined);
      await ui.goAway();
      for (let tries = 0; tries < 5; tries++)
        await worker.awaitLog(/\[(warn|error)\].*register/i, { from: worker.log.length });
      await ui.comeBack();
      await ui.setDone(job.id);
      expect({ result: job.result, reason: job.reason }).toEqual({ result: "passed", reason: null });
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "closes the websocket while a job runs is told about the job again (field lesson 8)",
    async () => {
      const { ui } = await openHost();
      const job = ui.offer({ ...slowJob, FAKE_LINGER: "2" });
      await moduleReported(ui, job);
      const from = ui.now;
      ui.dropWebsockets();
      const again = await ui.request(/POST \/api\/v1\/workers/, { from });
      expect(again.query.getAll("job_id")).toEqual([String(job.id)]);
      const { value } = await ui.message({ type: "worker_status" }, { from: again.index });
      expect(value).toMatchObject({ status: "working", job: { id: job.id } });
      await ui.setDone(job.id);
      expect(job.result).toBe("passed");
      await finishesNextJob(ui);
    },
    testMs,
  );

  test(
    "has given the job up (400 to a status post) ends it as api failure (field lesson 9)",
    async () => {
      const { ui, worker } = await openHost();
      const job = ui.offer(longJob);
      await moduleReported(ui, job);
      const error = "Got status update for job 1 with unexpected worker ID 1 (expected no updates anymore)";
      ui.fault(/POST .*\/status/, { status: 400, body: JSON.stringify({ error }) }, Infinity);
      const { query } = await ui.setDone(job.id);
      expect(query.get("result")).toBe("incomplete");
      expect(query.get("reason")).toBe(`api failure: 400 response: ${error}`);
      expect(
        ui.requestsOf(job.id).filter(({ form }) => form && fieldOf(form, "image") === undefined),
      ).toEqual([]);
      expect(await worker.jobProcesses()).toEqual([]);
    },
    testMs,
  );

  test(
    "has given the job up (404 to an upload) ends it as api failure (field lesson 9)",
    async () => {
      const { ui, worker } = await openHost();
      ui.fault(/artefact/, { status: 404, body: '{"error":"No worker assigned"}' }, Infinity);
      const job = ui.offer(longJob);
      const { query } = await ui.setDone(job.id);
      expect(query.get("result")).toBe("incomplete");
      expect(query.get("reason")).toStartWith("api failure");
      expect(await worker.jobProcesses()).toEqual([]);
    },
    testMs,
  );

  const refusedFiles: readonly { file: string; result: string | null; reason: string; missing: string[] }[] =
    [
      { file: "u.log", result: "incomplete", reason: "api failure", missing: ["pub.img", "priv.img"] },
      { file: "priv.img", result: "incomplete", reason: "api failure", missing: ["pub.img", "priv.img"] },
      { file: "video.ogv", result: "incomplete", reason: "api failure", missing: [] },
      {
        file: "boot-1.png",
        result: null,
        reason: "api failure: Unable to upload images: Error uploading boot-1.png: 400 response: no",
        missing: [],
      },
    ];
  for (const { file, result, reason, missing } of refusedFiles)
    test(
      `refuses ${file}: the reason says so, no result is claimed that is not there (field lesson 24)`,
      async () => {
        const { ui } = await openHost({ global: { LOCAL_UPLOAD: 0 } });
        const refusal: FaultAction = { status: 400, body: '{"error":"no"}' };
        const fault = ui.fault((request) => fileNameOf(request) === file, refusal, Infinity);
        const files = { FAKE_ULOGS: "u.log", FAKE_ASSETS_PUBLIC: "pub.img", FAKE_ASSETS_PRIVATE: "priv.img" };
        const job = ui.offer({ ...plainJob, ...files });
        const { query } = await ui.setDone(job.id);
        expect({ result: query.get("result"), reason: query.get("reason") }).toEqual({ result, reason });
        const delivered = [...job.files.keys(), ...job.assets.keys()];
        expect(["serial0.txt", "pub.img", "priv.img"].filter((name) => !delivered.includes(name))).toEqual(
          ["pub.img", "priv.img"].filter((name) => missing.includes(name)),
        );
        fault.remove();
        await finishesNextJob(ui);
      },
      testMs,
    );

  test(
    "refuses the registration disables itself; the last one ends the worker",
    async () => {
      const ui = await openWebUi();
      ui.fault(
        /POST \/api\/v1\/workers/,
        { status: 403, body: '{"error":"Operator level required"}' },
        Infinity,
      );
      const worker = await openWorker(ui);
      expect((await worker.exit()).code).toBe(0);
      expect(worker.log).toMatch(/\[error\].*Operator level required/);
      expect(worker.log).toContain("Stopping because registration with all configured web UI hosts failed");
    },
    testMs,
  );
});

describe("a second worker for the slot", () => {
  test(
    "is not registered and names the holder; the first one goes on",
    async () => {
      const { ui, worker } = await openHost();
      const second = worker.startAnother();
      try {
        const [line] = await second.awaitLog(/Unable to lock pool directory: .*/);
        expect(line).toContain(`${worker.pool()} already locked`);
        expect(line).toContain(String(worker.pid));
        await finishesNextJob(ui);
        expect(
          ui.requests.filter(({ method, path }) => method === "POST" && path === "/api/v1/workers"),
        ).toHaveLength(1);
      } finally {
        second.kill("SIGKILL");
        await second.exit();
      }
      await finishesNextJob(ui);
    },
    testMs,
  );
});

function expectOneConnection(ui: FakeWebUi): void {
  expect(ui.requests.filter(({ path }) => path.includes("/ws/"))).toHaveLength(1);
}

/**
 * Puts files beside the pool that no job may read, upload, change or remove. Returns the check that they are
 * untouched and that nothing of them, nor of a file below /etc, was sent.
 */
async function outsideFiles(worker: TemporaryWorker): Promise<(ui: FakeWebUi) => Promise<void>> {
  const content = JSON.stringify({ component: "backend", msg: "SECRET-OUTSIDE", result: "ok", details: [] });
  const paths = [
    "outside/outside.json",
    "outside/result-boot.json",
    "outside.json",
    "openqa/outside.json",
    "openqa/pool/outside.json",
  ];
  const files = paths.map((path) => join(worker.folder, path));
  await mkdir(join(worker.folder, "outside"), { recursive: true });
  for (const file of files) await writeFile(file, content);
  const modes = await Promise.all(files.map(async (file) => (await stat(file)).mode));
  const hostname = (await readFile("/etc/hostname", "utf8")).trim();
  return async (ui) => {
    expect(await Promise.all(files.map((file) => readFile(file, "utf8")))).toEqual(files.map(() => content));
    expect(await Promise.all(files.map(async (file) => (await stat(file)).mode))).toEqual(modes);
    expect((await readdir(join(worker.folder, "outside"))).sort()).toEqual([
      "outside.json",
      "result-boot.json",
    ]);
    const share = join(worker.folder, "openqa/share");
    expect(await readFile(join(share, "factory/iso/fake.iso"), "utf8")).toBe("bytes of an iso");
    expect(await readFile(join(share, "tests/fake/main.pm"), "utf8")).toBe("1;\n");
    const leaking = ui.requests.filter(({ body, form, query }) => {
      const isHostname = form?.some(
        ({ name, bytes }) => name === "file" && bytes.toString().trim() === hostname,
      );
      return body.includes("SECRET-OUTSIDE") || String(query).includes("SECRET-OUTSIDE") || isHostname;
    });
    expect(leaking.map(({ path }) => path)).toEqual([]);
  };
}
