// A scriptable web UI for tests of the worker: real sockets, the server's rules for jobs, a journal of all that
// arrived, faults per request. Only a test double: no database, no pages, no scheduler.
import { createHmac } from "node:crypto";
import type { ServerWebSocket } from "bun";
import { FakeAssets } from "./fake-web-ui-assets.ts";
import { type Answer, type FakeJob, type Generation, isObject, Jobs } from "./fake-web-ui-jobs.ts";
import { grabJobsMessage, mapSequence, type Sequence } from "./fake-web-ui-queues.ts";
import {
  isMessage,
  isRequest,
  Journal,
  type MessageMatcher,
  type RecordedMessage,
  type RecordedRequest,
  type RequestMatcher,
  type WaitOptions,
} from "./journal.ts";
import { type FormEntry, readMultipart } from "./multipart.ts";
import { Door, type FaultAction, hasEffect, misbehave } from "./raw-connection.ts";

export type { FakeJob } from "./fake-web-ui-jobs.ts";
export type { RecordedMessage, RecordedRequest } from "./journal.ts";
export { type FaultAction, htmlPage } from "./raw-connection.ts";

export interface FakeWebUiOptions {
  readonly generation?: Generation;
  readonly key?: string;
  readonly secret?: string;
}

interface SocketOwner {
  readonly workerId: number;
}

interface Fault {
  readonly matches: (request: RecordedRequest) => boolean;
  readonly action: FaultAction;
  left: number;
}

const maxMessageBytes = 256 * 1024 * 1024;

export async function startFakeWebUi(options: FakeWebUiOptions = {}): Promise<FakeWebUi> {
  const ui = new FakeWebUi(options);
  await ui.comeBack();
  return ui;
}

export class FakeWebUi {
  readonly key: string;
  readonly secret: string;
  readonly journal = new Journal();
  readonly assets = new FakeAssets();
  readonly state: Jobs;
  private readonly generation: Generation;
  private readonly server: Bun.Server<SocketOwner>;
  private readonly door: Door;
  private readonly sockets = new Map<number, ServerWebSocket<SocketOwner>>();
  /** Commands for workers whose websocket is down, by worker id. */
  private readonly unsent = new Map<number, object[]>();
  private faults: Fault[] = [];

  constructor({
    generation = 2026,
    key = "1234567890ABCDEF",
    secret = "FEDCBA0987654321",
  }: FakeWebUiOptions) {
    this.key = key;
    this.secret = secret;
    this.generation = generation;
    this.state = new Jobs(generation, (workerId, message) => this.command(workerId, message));
    this.server = Bun.serve<SocketOwner>({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      maxRequestBodySize: maxMessageBytes,
      fetch: (request) => this.serve(request),
      websocket: {
        idleTimeout: 0,
        maxPayloadLength: maxMessageBytes,
        open: (socket) => this.opened(socket),
        message: (socket, text) => this.received(socket, String(text)),
        close: (socket) => this.closed(socket),
      },
    });
    this.door = new Door(this.server.port ?? 0);
  }

  /** As it stands in HOST. */
  get host(): string {
    return `127.0.0.1:${this.door.port}`;
  }
  get url(): string {
    return `http://${this.host}`;
  }
  get requests(): RecordedRequest[] {
    return this.journal.entries.filter((entry) => entry.kind === "request");
  }
  get messages(): RecordedMessage[] {
    return this.journal.entries.filter((entry) => entry.kind === "message");
  }
  /** For `from` of waits: what arrives from now on. */
  get now(): number {
    return this.journal.entries.length;
  }

  /** Refuses connections and resets those there are, until `comeBack`. */
  async goAway(): Promise<void> {
    await this.door.close();
  }
  async comeBack(): Promise<void> {
    await this.door.open();
  }
  async stop(): Promise<void> {
    await this.door.close();
    await this.server.stop(true);
  }

  /** The next requests that match meet this instead of their answer. */
  fault(matcher: RequestMatcher, action: FaultAction, times = 1): { readonly remove: () => void } {
    const fault: Fault = { matches: isRequest(matcher), action, left: times };
    this.faults.push(fault);
    return {
      remove: () => {
        this.faults = this.faults.filter((other) => other !== fault);
      },
    };
  }

  /** Resolves with the first request that matches, past ones included. */
  request(matcher: RequestMatcher, options?: WaitOptions): Promise<RecordedRequest> {
    return this.journal.eventually(isRequest(matcher), `request ${matcher}`, options);
  }

  /** Resolves with the first websocket message that matches, past ones included. */
  message(matcher: MessageMatcher, options?: WaitOptions): Promise<RecordedMessage> {
    const what = typeof matcher === "function" ? String(matcher) : JSON.stringify(matcher);
    return this.journal.eventually(isMessage(matcher), `message ${what}`, options);
  }

  /** Resolves with the id of the first worker whose websocket is open and who has sent a message. */
  async registered(options?: WaitOptions): Promise<number> {
    return (await this.message(({ workerId }) => this.sockets.has(workerId), options)).workerId;
  }

  /** Resolves when `set_done` of this job was answered. */
  async setDone(jobId: number, options?: WaitOptions): Promise<RecordedRequest> {
    const path = `/api/v1/jobs/${jobId}/set_done`;
    return await this.request((request) => request.path === path && request.answer !== undefined, options);
  }

  /** Statuses of the answers to the requests for an asset, in order; undefined where a fault took its place. */
  assetStatuses(name: string): (number | undefined)[] {
    return this.requests
      .filter(({ path }) => path.includes("/asset/") && path.endsWith(`/${name}`))
      .map(({ answer }) => answer?.status);
  }

  /** Requests about one job, in order. */
  requestsOf(jobId: number): RecordedRequest[] {
    return this.requests.filter(({ path }) => path.startsWith(`/api/v1/jobs/${jobId}/`));
  }

  /** Names of the files that were uploaded for a job, thumbnails left out, in order. */
  uploadsOf(jobId: number): string[] {
    return this.requestsOf(jobId)
      .filter(({ path, form }) => path.endsWith("/artefact") && fieldOf(form, "thumb") !== "1")
      .map((request) => fileNameOf(request) ?? "");
  }

  /** Makes a job and sends it to a worker (default: the only one), which must be connected. */
  offer(settings: Record<string, unknown> = {}, workerId = this.onlyWorker()): FakeJob {
    const job = this.state.add(settings);
    this.offerAgain(job, workerId);
    return job;
  }

  /** As the scheduler does it with a rejected job. */
  offerAgain(job: FakeJob, workerId = this.onlyWorker()): void {
    this.state.assign(job, workerId);
    this.send(workerId, { type: "grab_job", job: this.state.asSent(job) });
  }

  /**
   * Makes jobs and sends them as a queue of directly chained ones. The sequence names them by their place in the list,
   * from 0. All have one JOBTOKEN.
   */
  offerQueue(
    settings: readonly Record<string, unknown>[],
    sequence: Sequence,
    workerId = this.onlyWorker(),
  ): FakeJob[] {
    const JOBTOKEN = `queue${this.state.jobs.size + 1}`;
    const jobs = settings.map((each) => this.state.add({ JOBTOKEN, ...each }));
    this.offerQueueAgain(jobs, sequence, workerId);
    return jobs;
  }

  /** The same jobs once more; the sequence names them by their place in the list. */
  offerQueueAgain(jobs: readonly FakeJob[], sequence: Sequence, workerId = this.onlyWorker()): void {
    const byId = mapSequence(sequence, (place) => jobs[place]?.id ?? 0);
    this.state.chain(byId);
    for (const job of jobs) if (job.state === "scheduled") this.state.assign(job, workerId);
    this.send(
      workerId,
      grabJobsMessage(jobs, byId, workerId, (job) => this.state.asSent(job)),
    );
  }

  /** As a user does it: the job is cancelled for the server, the worker is told, at once or when it is back. */
  cancel(job: FakeJob): void {
    this.state.cancel(job);
    this.tell(job, "cancel");
  }

  /** Sends a message about a job to its worker: a stop, a live view, a developer session. */
  tell({ id, assignedWorker }: FakeJob, type: string): void {
    if (assignedWorker !== undefined) this.command(assignedWorker, { type, jobid: id });
  }

  /** Sends an object as JSON, a string as it is. */
  send(workerId: number, message: object | string): void {
    const socket = this.sockets.get(workerId);
    if (!socket) throw new Error(`Worker ${workerId} has no websocket`);
    socket.sendText(typeof message === "string" ? message : JSON.stringify(message));
  }

  dropWebsockets(code = 1008, reason = "Connection terminated from WebSocket server - thought dead"): void {
    for (const socket of this.sockets.values()) socket.close(code, reason);
  }

  private command(workerId: number, message: object): void {
    if (this.sockets.has(workerId)) this.send(workerId, message);
    else this.unsent.set(workerId, [...(this.unsent.get(workerId) ?? []), message]);
  }

  private onlyWorker(): number {
    const [id, ...others] = this.sockets.keys();
    if (id === undefined || others.length > 0) throw new Error(`${this.sockets.size} workers are connected`);
    return id;
  }

  private async serve(request: Request): Promise<Response | undefined> {
    const clientPort = this.server.requestIP(request)?.port ?? 0;
    const recorded = await this.record(request);
    const fault = this.faults.find(({ left, matches }) => left > 0 && matches(recorded));
    if (fault === undefined) return await this.answer(recorded, request);
    fault.left--;
    const { action } = fault;
    if (typeof action === "object" && "status" in action)
      return new Response(action.body ?? "", { status: action.status, headers: action.headers ?? {} });
    if (typeof action === "object" && "until" in action) {
      const late = await this.answer(recorded, request);
      const isLost = await action.until.then(
        () => false,
        () => true,
      );
      if (!isLost) return late;
      await misbehave(this.door.take(clientPort), "lose answer", late);
      return await new Promise<never>(() => {});
    }
    const answer = hasEffect(action) ? await this.answer(recorded, request) : undefined;
    await misbehave(this.door.take(clientPort), action, answer);
    return await new Promise<never>(() => {});
  }

  private async record(request: Request): Promise<RecordedRequest> {
    const body = Buffer.from(await request.arrayBuffer());
    const url = new URL(request.url);
    const type = request.headers.get("content-type") ?? "";
    const entry: RecordedRequest = {
      kind: "request",
      index: this.now,
      atMs: performance.now(),
      method: request.method,
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body,
      json: parseJson(body.toString()),
      form: type.startsWith("multipart/form-data") ? readMultipart(type, body) : undefined,
      answer: undefined,
    };
    this.journal.note(entry);
    return entry;
  }

  private async answer(recorded: RecordedRequest, request: Request): Promise<Response | undefined> {
    const workerId = Number(/^\/(?:api\/v1\/)?ws\/(\d+)$/.exec(recorded.path)?.[1]);
    const refusal = this.refusal(recorded, request.url);
    const asset = refusal ? undefined : this.assets.answer(recorded.method, recorded.path, recorded.headers);
    if (asset) {
      recorded.answer = { status: asset.status, body: "" };
      this.journal.wake();
      return asset;
    }
    const answer = refusal ?? (await this.route(recorded, workerId));
    if (answer === "upgrade") {
      if (this.server.upgrade(request, { data: { workerId } })) return undefined;
      return new Response("Not found", { status: 404 });
    }
    recorded.answer = answer;
    this.journal.wake();
    if (typeof answer.body === "string") return new Response(answer.body, { status: answer.status });
    return Response.json(answer.body, { status: answer.status });
  }

  /** The 403 of a request that is not signed as protocol 2.1 demands. */
  private refusal({ method, path, headers }: RecordedRequest, url: string): Answer | undefined {
    const refuse = (error: string): Answer => ({ status: 403, body: { error, error_status: 403 } });
    if (method === "HEAD" || path.startsWith("/assets/")) return undefined;
    const time = headers.get("x-api-microtime") ?? "";
    const key = headers.get("x-api-key");
    if (key === null) return refuse("no api key");
    if (key !== this.key) return refuse("Not authorized");
    const ageSeconds = Date.now() / 1000 - Number(time);
    if (time === "" || ageSeconds > 300 || (this.generation === 2026 && ageSeconds < -300))
      return refuse(
        "timestamp mismatch - check whether clocks on the local host and the web UI host are in sync",
      );
    const pathAndQuery = url.slice(url.indexOf("/", "http://".length));
    const hash = createHmac("sha1", this.secret)
      .update(pathAndQuery + time)
      .digest("hex");
    return headers.get("x-api-hash") === hash ? undefined : refuse("unknown error (wrong secret?)");
  }

  private async route(
    { method, path, query, json, form }: RecordedRequest,
    workerId: number,
  ): Promise<Answer | "upgrade"> {
    if (method === "HEAD") return await this.head(path);
    if (workerId)
      return this.state.workers.has(workerId) ? "upgrade" : { status: 400, body: "Unknown worker" };
    if (method === "POST" && path === "/api/v1/workers") return this.state.register(query);
    const [, id, what] = /^\/api\/v1\/jobs\/(\d+)(?:\/(\w+))?$/.exec(path) ?? [];
    const jobId = Number(id);
    if (method === "GET" && id !== undefined && what === undefined) return this.state.show(jobId);
    if (method !== "POST") return { status: 404, body: { error_status: 404 } };
    if (what === "status") return this.state.status(jobId, json);
    if (what === "artefact") return this.state.artefact(jobId, form);
    if (what === "upload_state") return { status: 200, body: "OK" };
    if (what === "duplicate") return this.state.duplicate(jobId);
    if (what === "set_done") return this.state.setDone(jobId, query);
    return { status: 404, body: { error_status: 404 } };
  }

  private async head(path: string): Promise<Answer> {
    const asset = /^\/assets\/[^/]+\/([^/]+)$/.exec(path)?.[1];
    if (asset === undefined) return { status: this.generation === 2023 ? 500 : 200, body: "" };
    const bytes = await this.state.assetBytes(decodeURIComponent(asset));
    return bytes === undefined ? { status: 404, body: "" } : { status: 200, body: "x".repeat(bytes) };
  }

  private opened(socket: ServerWebSocket<SocketOwner>): void {
    const old = this.sockets.get(socket.data.workerId);
    this.sockets.set(socket.data.workerId, socket);
    old?.close(1008, "only one connection per worker allowed, finishing old one in favor of new one");
    const waiting = this.unsent.get(socket.data.workerId) ?? [];
    this.unsent.delete(socket.data.workerId);
    for (const message of waiting) socket.sendText(JSON.stringify(message));
  }

  private received(socket: ServerWebSocket<SocketOwner>, text: string): void {
    const { workerId } = socket.data;
    const parsed = parseJson(text);
    const value = isObject(parsed) ? parsed : {};
    const answer = this.state.message(workerId, value);
    if (!isObject(parsed)) socket.close(1003, "Received unexpected data from worker, forcing close");
    else if (answer) socket.sendText(JSON.stringify(answer));
    this.journal.note({ kind: "message", index: this.now, atMs: performance.now(), workerId, text, value });
  }

  private closed(socket: ServerWebSocket<SocketOwner>): void {
    const { workerId } = socket.data;
    if (this.sockets.get(workerId) === socket) this.sockets.delete(workerId);
  }
}

/** Value of a field of an uploaded form. */
export function fieldOf(form: readonly FormEntry[] | undefined, name: string): string | undefined {
  return form?.find((entry) => entry.name === name)?.bytes.toString();
}

/** Name of the file that a request uploads. */
export function fileNameOf({ form }: RecordedRequest): string | undefined {
  return form?.find(({ name }) => name === "file")?.fileName;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
