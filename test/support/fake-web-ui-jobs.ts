// Jobs and workers of the fake web UI and how requests change them: states, refusals and results of the real server.
// No sockets here.
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { descendantsOf, parentsIn, type Sequence } from "./fake-web-ui-queues.ts";
import { type FormEntry, readChunk } from "./multipart.ts";

export type Generation = 2023 | 2026;
export type JobState = "scheduled" | "assigned" | "setup" | "running" | "uploading" | "cancelled" | "done";

export interface FakeJob {
  readonly id: number;
  readonly settings: Record<string, unknown>;
  state: JobState;
  result: string;
  reason: string | null;
  assignedWorker: number | undefined;
  clone: FakeJob | undefined;
  /** Names of the test order, in order, and the last result posted for each. */
  readonly modules: string[];
  readonly results: Map<string, Record<string, unknown>>;
  /** By md5 as sent. */
  readonly pictures: Map<string, Buffer>;
  readonly thumbnails: Map<string, Buffer>;
  /** Texts, logs, ulogs by their bare name. */
  readonly files: Map<string, Buffer>;
  /** Finished assets by name as sent; of local ones the path. */
  readonly assets: Map<string, { scope: string; bytes: Buffer | undefined; localPath: string | undefined }>;
}

export interface FakeWorker {
  readonly id: number;
  readonly key: string;
  capabilities: URLSearchParams;
  currentJob: number | undefined;
  /** Its last message was a status without a job although it has one. */
  isForgiven: boolean;
}

export interface Answer {
  readonly status: number;
  /** An object goes out as JSON, a string as text. */
  readonly body: object | string;
}

const ok = (body: object | string): Answer => ({ status: 200, body });
const refuse = (status: number, error: string): Answer => ({ status, body: { error, error_status: status } });

export class Jobs {
  readonly jobs = new Map<number, FakeJob>();
  readonly workers = new Map<number, FakeWorker>();
  /** From this port to that of the live view handler, as registrations tell it. */
  servicePortDelta = 2;
  private readonly partialAssets = new Map<string, Buffer[]>();

  /** Whether a job that has not passed makes the server stop those that depend on it, and say so. */
  stopsDescendants = true;
  /** Parents of directly chained jobs by child. */
  private readonly parents = new Map<number, number>();

  private readonly generation: Generation;
  /** Sends a worker a command, now or when its websocket is back. */
  private readonly command: (workerId: number, message: object) => void;

  constructor(generation: Generation, command: (workerId: number, message: object) => void = () => {}) {
    this.generation = generation;
    this.command = command;
  }

  add(settings: Record<string, unknown>): FakeJob {
    const id = this.jobs.size + 1;
    const name = `${String(id).padStart(8, "0")}-fake-job${id}`;
    const job: FakeJob = {
      id,
      settings: { NAME: name, JOBTOKEN: `token${id}`, ...settings },
      state: "scheduled",
      result: "none",
      reason: null,
      assignedWorker: undefined,
      clone: undefined,
      modules: [],
      results: new Map(),
      pictures: new Map(),
      thumbnails: new Map(),
      files: new Map(),
      assets: new Map(),
    };
    this.jobs.set(id, job);
    return job;
  }

  /** The job as it stands in `grab_job`. */
  asSent({ id, settings, state, result, assignedWorker }: FakeJob): object {
    const name = `fake-job${id}`;
    const nulls = { clone_id: null, t_started: null, t_finished: null, group_id: null };
    return {
      id,
      name,
      test: name,
      settings,
      state,
      result,
      priority: 50,
      assigned_worker_id: assignedWorker,
      blocked_by_id: this.parents.get(id) ?? null,
      ...nulls,
    };
  }

  /** GET jobs/ID, the part that workers look at. */
  show(id: number): Answer {
    const job = this.jobs.get(id);
    if (!job) return refuse(404, "Job does not exist");
    const { state, result, reason, assignedWorker, clone } = job;
    const clone_id = clone?.id ?? null;
    return ok({ job: { id, state, result, reason, clone_id, assigned_worker_id: assignedWorker ?? null } });
  }

  /** Makes jobs depend on each other; the sequence names them by id. */
  chain(sequence: Sequence): void {
    for (const [child, parent] of parentsIn(sequence)) this.parents.set(child, parent);
  }

  assign(job: FakeJob, workerId: number): void {
    job.state = "assigned";
    job.assignedWorker = workerId;
    this.workerOf(workerId).currentJob ??= job.id;
  }

  register(query: URLSearchParams): Answer {
    const required = ["host", "instance", "cpu_arch", "mem_max", "worker_class"];
    const missing = required.filter((name) => !query.has(name)).map((name) => `${name} missing`);
    if (missing.length > 0) return refuse(400, `Erroneous parameters (${missing.sort().join(", ")})`);
    if (query.get("websocket_api_version") !== "1") return refuse(426, "Incompatible websocket API version");
    const key = `${query.get("host")}:${query.get("instance")}`;
    const known = [...this.workers.values()].find((worker) => worker.key === key);
    const id = known?.id ?? this.workers.size + 1;
    const worker = known ?? { id, key, capabilities: query, currentJob: undefined, isForgiven: false };
    worker.capabilities = query;
    this.workers.set(id, worker);
    this.abandonJobs(worker, query.getAll("job_id"));
    return ok(this.generation === 2023 ? { id } : { id, service_port_delta: this.servicePortDelta });
  }

  private abandonJobs(worker: FakeWorker, named: readonly string[]): void {
    for (const job of this.jobs.values()) {
      if (job.assignedWorker !== worker.id || job.state === "done" || named.includes(String(job.id)))
        continue;
      if (job.state === "assigned") this.reschedule(job);
      else {
        job.clone ??= this.add(job.settings);
        job.reason ??= `abandoned: associated worker ${worker.key} re-connected but abandoned the job`;
        this.finish(job, "incomplete");
      }
    }
  }

  private reschedule(job: FakeJob): void {
    job.state = "scheduled";
    for (const worker of this.workers.values())
      if (worker.currentJob === job.id) worker.currentJob = undefined;
    job.assignedWorker = undefined;
  }

  private finish(job: FakeJob, result: string): void {
    if (job.result === "none") job.result = result;
    job.state = "done";
    for (const worker of this.workers.values())
      if (worker.currentJob === job.id) worker.currentJob = undefined;
  }

  /** The other jobs that cannot run any more; assigned workers are told of each. */
  private stopDescendants({ id }: FakeJob): void {
    if (!this.stopsDescendants) return;
    for (const other of descendantsOf(id, this.parents)) {
      const job = this.jobs.get(other);
      if (job?.result !== "none") continue;
      const hasBegun = job.state !== "scheduled" && job.state !== "assigned";
      job.result = hasBegun ? "parallel_failed" : "skipped";
      if (!hasBegun) job.state = "cancelled";
      if (job.assignedWorker !== undefined)
        this.command(job.assignedWorker, { type: "cancel", jobid: job.id });
    }
  }

  /** A slot that has a job but says that it has none is forgiven once: the status may have crossed the offer. */
  private judgeIdleness(workerId: number, message: Record<string, unknown>, assigned: FakeJob[]): void {
    const worker = this.workerOf(workerId);
    const isStatus = message["type"] === "worker_status" && message["status"] !== "broken";
    const isIdle = isStatus && !isObject(message["job"]) && assigned.length > 0;
    if (isIdle && worker.isForgiven) for (const job of assigned) this.reschedule(job);
    worker.isForgiven = isIdle && !worker.isForgiven;
  }

  /** A message of a worker; returns the answer, if there is one. */
  message(workerId: number, message: Record<string, unknown>): object | undefined {
    const assigned = [...this.jobs.values()].filter(
      (job) => job.assignedWorker === workerId && job.state === "assigned",
    );
    this.judgeIdleness(workerId, message, assigned);
    switch (message["type"]) {
      case "worker_status":
        return this.generation === 2023 ? { type: "info", population: 1 } : { type: "info", seen: 1 };
      case "accepted":
        for (const job of assigned)
          if (String(job.id) === String(message["jobid"])) {
            job.state = "setup";
            this.workerOf(workerId).currentJob = job.id;
          }
        return undefined;
      case "rejected": {
        const ids = Array.isArray(message["job_ids"]) ? message["job_ids"].map(String) : [];
        for (const job of assigned) if (ids.includes(String(job.id))) this.reschedule(job);
        return undefined;
      }
      case "quit":
        for (const job of assigned) this.reschedule(job);
        return undefined;
      default:
        return undefined;
    }
  }

  status(id: number, body: unknown): Answer {
    const status = isObject(body) && isObject(body["status"]) ? body["status"] : undefined;
    if (!isObject(body)) return refuse(400, "No status information provided");
    const about = `Got status update for job ${id}`;
    const workerId = status?.["worker_id"];
    if (!status || workerId === undefined) return refuse(400, `${about} but does not contain a worker id!`);
    const job = this.jobs.get(id);
    if (!job) return refuse(400, `Got status update for non-existing job: ${id}`);
    const unexpected = `${about} with unexpected worker ID ${workerId}`;
    if (job.state === "done")
      return refuse(
        400,
        `${unexpected} (expected no updates anymore, job is done with result ${job.result})`,
      );
    if (job.assignedWorker === undefined)
      return refuse(
        400,
        `${about} and worker ${workerId} but there is not even a worker assigned to this job`,
      );
    if (String(job.assignedWorker) !== String(workerId))
      return refuse(400, `${unexpected} (expected ${job.assignedWorker}, job is ${job.state})`);
    this.workerOf(job.assignedWorker).currentJob = id;
    return job.state === "cancelled" ? this.cancelledStatus(job, status) : this.liveStatus(job, status);
  }

  private cancelledStatus(job: FakeJob, status: Record<string, unknown>): Answer {
    if (status["uploading"]) return ok({ result: "" });
    return this.generation === 2023 ? ok({ result: 0 }) : this.storeResults(job, status);
  }

  private liveStatus(job: FakeJob, status: Record<string, unknown>): Answer {
    if (status["uploading"]) {
      job.state = "uploading";
      return ok({ result: 1 });
    }
    if (job.state !== "uploading") job.state = "running";
    return this.storeResults(job, status);
  }

  private storeResults(job: FakeJob, status: Record<string, unknown>): Answer {
    const order = Array.isArray(status["test_order"]) ? status["test_order"].filter(isObject) : [];
    for (const { name } of order) if (!job.modules.includes(String(name))) job.modules.push(String(name));
    const results = isObject(status["result"]) ? status["result"] : {};
    const steps: Record<string, unknown>[] = [];
    const unknown = Object.keys(results).filter((name) => !job.modules.includes(name));
    for (const [name, result] of Object.entries(results)) {
      if (!job.modules.includes(name) || !isObject(result)) continue;
      job.results.set(name, result);
      if (Array.isArray(result["details"])) steps.push(...result["details"].filter(isObject));
    }
    if (unknown.length > 0) return refuse(490, `Failed modules: ${unknown.sort().join(", ")}`);
    const pictures = steps.map(({ screenshot }) => (isObject(screenshot) ? String(screenshot["md5"]) : ""));
    const files = steps.map(({ text, audio }) => String(text ?? audio ?? ""));
    const known_images = pictures.filter((md5) =>
      [...this.jobs.values()].some((any) => any.pictures.has(md5)),
    );
    const known_files = files.filter((name) => job.files.has(name));
    return ok({ job_result: computedResult(job), known_files, known_images, result: 1 });
  }

  artefact(id: number, form: readonly FormEntry[] | undefined): Answer {
    const job = this.jobs.get(id);
    if (!job) return refuse(404, `Specified job ${id} does not exist`);
    if (![...this.workers.values()].some((worker) => worker.currentJob === id))
      return refuse(404, "No worker assigned");
    const file = form?.find(({ name }) => name === "file");
    if (!form || !file) return refuse(400, "Erroneous parameters (file missing)");
    if (file.fileName === undefined) return refuse(400, "Erroneous parameters (file invalid)");
    const field = (name: string) => form.find((entry) => entry.name === name)?.bytes.toString();
    const name = basename(file.fileName);
    if (field("image") === "1") {
      const md5 = field("md5") ?? "";
      if (!/^[0-9a-f]{32}$/.test(md5))
        return refuse(400, `Erroneous parameters (md5 ${md5 ? "invalid" : "missing"})`);
      (field("thumb") === "1" ? job.thumbnails : job.pictures).set(md5, file.bytes);
      return ok("OK");
    }
    const scope = field("asset");
    if (scope !== undefined) return this.asset(job, name, scope, field("local"), file.bytes);
    job.files.set(name, file.bytes);
    return ok("OK");
  }

  private asset(
    job: FakeJob,
    name: string,
    scope: string,
    localPath: string | undefined,
    bytes: Buffer,
  ): Answer {
    if (localPath !== undefined) {
      job.assets.set(name, { scope, bytes: undefined, localPath });
      return ok({ status: "ok" });
    }
    try {
      const chunk = readChunk(bytes);
      const chunks = this.partialAssets.get(name) ?? [];
      chunks[Number(chunk["index"]) - 1] = Buffer.from(String(chunk["content"] ?? ""), "hex");
      this.partialAssets.set(name, chunks);
      if (chunk["index"] !== chunk["total"]) return ok({ status: "ok" });
      this.partialAssets.delete(name);
      job.assets.set(name, { scope, bytes: Buffer.concat(chunks), localPath: undefined });
      return ok({ status: "ok" });
    } catch (error) {
      return refuse(500, `Failed receiving asset: ${error}`);
    }
  }

  /** HEAD of /assets/TYPE/NAME: the size of an asset that a job made, in bytes. */
  async assetBytes(name: string): Promise<number | undefined> {
    for (const job of this.jobs.values()) {
      const prefix = `${String(job.id).padStart(8, "0")}-`;
      for (const [sent, { scope, bytes, localPath }] of job.assets) {
        if ((scope === "public" ? sent : prefix + sent) !== name) continue;
        return bytes?.length ?? (localPath === undefined ? undefined : (await stat(localPath)).size);
      }
    }
    return undefined;
  }

  duplicate(id: number): Answer {
    const job = this.jobs.get(id);
    if (!job || job.state === "scheduled" || job.state === "assigned")
      return ok({ result: [], test_url: [] });
    if (job.clone) {
      const errors = [`Specified job ${id} has already been cloned as ${job.clone.id}`];
      return ok({ errors, result: [], test_url: [] });
    }
    job.clone = this.add(job.settings);
    return ok({
      id: job.clone.id,
      result: [{ [id]: job.clone.id }],
      test_url: [{ [id]: `/tests/${job.clone.id}` }],
    });
  }

  setDone(id: number, query: URLSearchParams): Answer {
    const job = this.jobs.get(id);
    if (!job) return refuse(404, "Job does not exist");
    const workerId = query.get("worker_id");
    if (workerId !== null && job.assignedWorker === undefined)
      return refuse(400, "Refusing to set result because job has already been re-scheduled.");
    if (workerId !== null && workerId !== String(job.assignedWorker))
      return refuse(
        400,
        `Refusing to set result because job is currently assigned to worker ${job.assignedWorker}).`,
      );
    const isFirst = job.result === "none";
    const result = query.get("newbuild") ? "obsoleted" : query.get("result") || computedResult(job);
    const sentReason = query.get("reason");
    const noTests = result === "incomplete" ? "no test modules scheduled/uploaded" : null;
    if (isFirst || job.reason === null) job.reason = sentReason ?? job.reason ?? noTests;
    this.finish(job, result);
    if (isFirst && !["passed", "softfailed"].includes(result)) this.stopDescendants(job);
    return ok({ reason: sentReason, result: job.result });
  }

  cancel(job: FakeJob): void {
    job.result = "user_cancelled";
    job.state = "cancelled";
  }

  private workerOf(id: number): FakeWorker {
    const worker = this.workers.get(id);
    if (!worker) throw new Error(`No worker ${id} has registered`);
    return worker;
  }
}

/** The server's judgement over all modules, also those never run. */
function computedResult({ modules, results }: FakeJob): string {
  if (modules.length === 0) return "incomplete";
  const each = modules.map((name) => {
    const { result, dents } = results.get(name) ?? {};
    return result === "ok" && Number(dents ?? 0) > 0 ? "softfail" : result;
  });
  if (each.some((result) => !["ok", "skip", "softfail"].includes(String(result)))) return "failed";
  return each.includes("softfail") ? "softfailed" : "passed";
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
