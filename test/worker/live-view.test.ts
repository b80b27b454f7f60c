// Those who follow a job in a browser, on the built executable: viewers see logs and screen, developers hear how far
// the results of a paused job are.
import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { FakeJob, FakeWebUi } from "../support/fake-web-ui.ts";
import { plainJob } from "../support/temporary-worker.ts";
import {
  finishesNextJob,
  openHost,
  openWebUi,
  openWorker,
  startAgain,
  stopHostsAfterEach,
} from "../support/worker-host.ts";

stopHostsAfterEach();
const testMs = 60_000;
const lingeringJob = { ...plainJob, FAKE_SCREENS: "1", FAKE_SECONDS: "0.2", FAKE_LINGER: "60" };
/** Without viewers nothing is posted after the first status within a test. */
const onlyWatched = { own: { "report.interval_ms": 600_000, "report.watched_interval_ms": 50 } };

type Status = Readonly<Record<string, unknown>>;

/** Statuses of the running job that were posted, in order. */
function statuses(ui: FakeWebUi, job: FakeJob): Status[] {
  const posts = ui.requestsOf(job.id).filter(({ path }) => path.endsWith("/status"));
  const all = posts.map(({ json }) => Object(json).status as Status);
  return all.filter((status) => "cmd_srv_url" in status);
}

const isLive = (status: Status) => "serial_terminal_user" in status;

/** A log as the server has it. */
function received(posts: readonly Status[], key: string): string {
  return posts.map((status) => Object(status[key]).data ?? "").join("");
}

function screens(posts: readonly Status[]): { readonly name: string; readonly png: string }[] {
  return posts.flatMap(({ screen }) => (screen === undefined ? [] : [Object(screen)]));
}

test(
  "a viewer sees logs and pictures of the screen at once and from then on, until the last one has left",
  async () => {
    const { ui, worker, workerId } = await openHost(onlyWatched);
    const job = ui.offer(lingeringJob);
    await ui.request(() => statuses(ui, job).length === 1);
    ui.send(workerId, { type: "livelog_start", jobid: job.id });
    ui.send(workerId, { type: "livelog_start", jobid: String(job.id) });
    await ui.request(() => screens(statuses(ui, job)).length >= 3);
    ui.send(workerId, { type: "livelog_stop", jobid: job.id });
    const { length } = statuses(ui, job);
    await ui.request(() => statuses(ui, job).length >= length + 3);
    ui.send(workerId, { type: "livelog_stop", jobid: job.id });
    ui.cancel(job);
    await ui.setDone(job.id);

    const posts = statuses(ui, job);
    expect(posts.map((status) => (isLive(status) ? "live" : "plain")).join(" ")).toMatch(
      /^plain( live){4,}( plain)+$/,
    );
    expect(received(posts, "serial_log")).toBe("serial line\n");
    const log = received(posts, "log");
    expect(log).toContain("fake isotovideo starts");
    expect(job.files.get("autoinst-log.txt")?.toString("latin1")).toStartWith(log);
    const seen = screens(posts);
    expect(new Set(seen.map(({ name }) => name)).size).toBe(seen.length);
    for (const { png } of seen) expect(Buffer.from(png, "base64").toString("latin1")).toContain("IHDR");
    expect(await Bun.file(join(worker.pool(), "live_log")).exists()).toBe(false);
    await finishesNextJob(ui);
  },
  testMs,
);

test(
  "a viewer who comes during the set-up sees the job from its first status on (field lesson 39)",
  async () => {
    const { ui, worker, workerId } = await openHost({
      ...onlyWatched,
      global: { SYNC_ASSETS_HOOK: "while [ ! -e $OPENQA_BASEDIR/seen ]; do sleep 0.05; done" },
    });
    const job = ui.offer(lingeringJob);
    await ui.message({ type: "accepted", jobid: job.id });
    ui.send(workerId, { type: "livelog_start", jobid: job.id });
    // Commands are obeyed in their order.
    ui.send(workerId, { type: "probe" });
    await worker.awaitLog(/unknown type "probe"/);
    await writeFile(join(worker.folder, "seen"), "");
    await ui.request(() => screens(statuses(ui, job)).length > 0);
    expect(statuses(ui, job).every(isLive)).toBe(true);
    ui.cancel(job);
    await ui.setDone(job.id);
  },
  testMs,
);

test(
  "the next start of the worker shows viewers nothing twice, and tells a developer who came before it",
  async () => {
    const ui = await openWebUi();
    ui.state.servicePortDelta = 0;
    const worker = await openWorker(ui, onlyWatched);
    const workerId = await ui.registered();
    const job = ui.offer(lingeringJob);
    await ui.request(() => statuses(ui, job).length === 1);
    for (const type of ["livelog_start", "developer_session_start"])
      ui.send(workerId, { type, jobid: job.id });
    const progress = /^POST \/liveviewhandler\/api\/v1\/jobs\/\d+\/upload_progress/;
    await ui.request(progress);
    await ui.request(() => screens(statuses(ui, job)).length >= 2);
    worker.kill("SIGUSR2");
    expect(await worker.exit()).toEqual({ code: 0, signal: null });

    const from = ui.now;
    startAgain(worker);
    ui.send(await ui.registered({ from }), { type: "livelog_start", jobid: job.id });
    await ui.request(progress, { from });
    const { length } = statuses(ui, job).filter(isLive);
    await ui.request(() => statuses(ui, job).filter(isLive).length >= length + 2);
    ui.cancel(job);
    await ui.setDone(job.id);
    const posts = statuses(ui, job);
    expect(received(posts, "serial_log")).toBe("serial line\n");
    const log = received(posts, "log");
    expect(job.files.get("autoinst-log.txt")?.toString("latin1")).toStartWith(log);
    const names = screens(posts).map(({ name }) => name);
    // But for a picture whose post was not answered when the worker left.
    expect(names.length - new Set(names).size).toBeLessThanOrEqual(1);
  },
  testMs,
);

test(
  "a developer hears when the paused module is on the server, and the job goes on after the pause",
  async () => {
    const ui = await openWebUi();
    const told: unknown[] = [];
    const somethingTold: (() => void)[] = [];
    using handler = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: async (request) => {
        told.push({ path: new URL(request.url).pathname, ...Object(await request.json()) });
        for (const look of somethingTold) look();
        return Response.json({ broadcast_count: 1 });
      },
    });
    const untilTold = (upTo: string | null, files: number) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = () => {
        const { upload_up_to, outstanding_files } = Object(told.at(-1));
        if (upload_up_to === upTo && outstanding_files === files) resolve();
      };
      somethingTold.push(look);
      look();
      return promise;
    };
    ui.state.servicePortDelta = Number(handler.port) - Number(new URL(ui.url).port);
    const worker = await openWorker(ui, { own: { "report.interval_ms": 50 } });
    const workerId = await ui.registered();
    const job = ui.offer({ ...plainJob, FAKE_SECONDS: "0.6", FAKE_PAUSE: "shell" });
    await ui.request(() => statuses(ui, job).length === 1);
    ui.send(workerId, { type: "developer_session_start", jobid: job.id });
    await untilTold("shell", 0);
    expect(told.at(-1)).toEqual({
      path: `/liveviewhandler/api/v1/jobs/${job.id}/upload_progress`,
      upload_up_to: "shell",
      upload_up_to_current_module: 1,
      outstanding_images: 0,
      outstanding_files: 0,
    });
    expect(job.results.get("shell")).toMatchObject({ result: "running", details: [{}, {}] });
    expect([...job.files.keys()].sort()).toEqual(["boot-2.txt", "shell-2.txt"]);
    expect(statuses(ui, job).at(-1)).toMatchObject({ test_execution_paused: "reached module shell" });

    await writeFile(join(worker.pool(), "resume"), "");
    await untilTold(null, 0);
    await ui.setDone(job.id);
    expect(job.result).toBe("passed");
  },
  testMs,
);
