// A slot that was brought into a state, with everything around it played: what it does at an event is written down as
// short texts.

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { AssetCaches } from "../../src/cache/worker/asset-caches.ts";
import { ApiError } from "../../src/errors.ts";
import { type JobOutcome, outcome } from "../../src/job/job-outcome.ts";
import { JobStop } from "../../src/job/job-stop.ts";
import { Spool } from "../../src/job/spool/spool.ts";
import { writeJobState } from "../../src/job/state-file.ts";
import { EventLoopLag } from "../../src/ops/event-loop-lag.ts";
import { silentLog } from "../../src/ops/log.ts";
import { type CurrentJob, jobPhases } from "../../src/slot/current-job.ts";
import { Slot } from "../../src/slot/slot.ts";
import { SpooledJobs } from "../../src/slot/spooled-jobs.ts";
import type { Connection, ConnectionState } from "../../src/webui/connection.ts";
import { grabJob, type OfferedJob } from "../../src/webui/job-offers.ts";
import {
  liveCommands,
  parseServerMessage,
  stopCommands,
  type WorkerMessage,
} from "../../src/webui/messages.ts";
import { RememberedErrors } from "../../src/webui/remembered-errors.ts";
import type { RestRequest } from "../../src/webui/web-ui.ts";
import { JobHost } from "../job/job-host.ts";
import { noOptimiser } from "../support/no-optimiser.ts";

/** Job 1 of host a is the current one, job 2 the pending one; job 9 waits in the spool. */
export const slotStates = [
  "idle",
  ...jobPhases,
  "running, one pending",
  "ended, one pending",
  "running, draining",
  "undelivered",
] as const;
export type SlotState = (typeof slotStates)[number];

const settings = { NAME: "x", JOBTOKEN: "t" };
const job = (id: number) => ({ id, settings });
const offerOf = (id: number) => ({ type: "grab_job", job: job(id) });
const grabJobs = (...ids: number[]) => ({
  type: "grab_jobs",
  job_info: { ids, data: Object.fromEntries(ids.map((id) => [id, job(id)])), sequence: ids },
});
const commands = [...stopCommands, ...liveCommands];

type Fire = (slot: PlayedSlot) => void;

/** Everything that can come to a slot from outside. */
export const slotEvents: Readonly<Record<string, Fire>> = {
  "grab_job 1": (slot) => slot.receive("a", offerOf(1)),
  "grab_job 3": (slot) => slot.receive("a", offerOf(3)),
  "grab_job 3 of b": (slot) => slot.receive("b", offerOf(3)),
  "grab_jobs 1, 2": (slot) => slot.receive("a", grabJobs(1, 2)),
  "grab_jobs 3, 4": (slot) => slot.receive("a", grabJobs(3, 4)),
  "grab_job without settings": (slot) => slot.receive("a", { type: "grab_job", job: { id: 3 } }),
  ...Object.fromEntries(
    commands.flatMap((type): [string, Fire][] => [
      [`${type} 1`, (slot) => slot.receive("a", { type, jobid: 1 })],
      [`${type} 2`, (slot) => slot.receive("a", { type, jobid: 2 })],
    ]),
  ),
  "cancel 1 of b": (slot) => slot.receive("b", { type: "cancel", jobid: 1 }),
  info: (slot) => slot.receive("a", { type: "info", seen: 1 }),
  incompatible: (slot) => slot.receive("a", { type: "incompatible" }),
  unknown: (slot) => slot.receive("a", { type: "dance" }),
  TERM: (slot) => slot.stop(),
  HUP: (slot) => slot.drain(),
  "websocket lost": (slot) => slot.connectionTo("a", "failed"),
  "websocket back": (slot) => slot.connectionTo("a", "connected"),
  "a disabled": (slot) => slot.connectionTo("a", "disabled"),
  "both disabled": (slot) => {
    slot.connectionTo("a", "disabled");
    slot.connectionTo("b", "disabled");
  },
  "status due": (slot) => slot.tellStatus(),
  "registration due": (slot) => slot.tellJobs(),
  "job passed": (slot) => slot.endJob(outcome("told", true)),
  "job failed": (slot) => slot.endJob(outcome("told")),
  "job spooled": (slot) => slot.endJob(outcome("spooled")),
  "job lost": (slot) => slot.endJob(outcome("lost")),
};

/** Those that only make sense after another one. */
export const furtherEvents: Readonly<Record<string, Fire>> = {
  "cancel 3": (slot) => slot.receive("a", { type: "cancel", jobid: 3 }),
  "availability is known": (slot) => slot.letKnow(),
  "job of an earlier start": (slot) => slot.findLeftJob(),
};

/** File system calls of a look at the availability are fewer. */
const settlingTurns = 60;

export class PlayedSlot implements AsyncDisposable {
  private seen: string[] = [];
  private readonly slot: Slot;
  private readonly connections: Readonly<Record<"a" | "b", Connection>>;
  private readonly stopping = new AbortController();
  private readonly draining = new AbortController();
  private current: CurrentJob | undefined;
  private end = Promise.withResolvers<JobOutcome>();
  private readonly gate = Promise.withResolvers<undefined>();

  private constructor(
    private readonly host: JobHost,
    private readonly spooled: SpooledJobs,
    private readonly state: SlotState,
  ) {
    const never = new AbortController().signal;
    this.slot = new Slot({
      settings: host.settings,
      program: host.program,
      caches: new AssetCaches(),
      optimiser: noOptimiser,
      lag: new EventLoopLag(),
      lock: {
        poolDirectory: host.pool,
        // A slot that accepts is one that looks at its availability.
        findProblem: async () => (state === "accepting" ? await this.gate.promise : undefined),
        release: async () => {},
      },
      stops: {
        stop: this.stopping.signal,
        drain: this.draining.signal,
        kill: never,
        hurry: never,
        giveUp: never,
      },
      spooled,
      work: (current) => this.work(current),
      log: silentLog,
      rest: () => {},
    });
    void this.slot.ended.then(() => this.note("over"));
    this.connections = { a: this.connect("a"), b: this.connect("b") };
  }

  static async in(state: SlotState): Promise<PlayedSlot> {
    const host = await JobHost.make(
      {},
      "[global]\nHOST = a b\nWORKER_HOSTNAME = here\nCRITICAL_LOAD_AVG_THRESHOLD = 0\n",
    );
    const spool = new Spool(join(host.settings.stateDirectory, "spool/1"), host.settings.own.spool);
    if (state === "undelivered") await spoolJob(spool, host.pool);
    const context = { signal: new AbortController().signal, log: silentLog };
    const spooled = new SpooledJobs(spool, host.settings, context);
    await spooled.load();
    const slot = new PlayedSlot(host, spooled, state);
    await slot.bring();
    return slot;
  }

  /** What it does at an event, in order; "-": nothing. */
  async at(fire: Fire): Promise<string> {
    this.seen = [];
    fire(this);
    await this.settle();
    return this.seen.join("; ") || "-";
  }

  receive(host: "a" | "b", message: object): void {
    const parsed = parseServerMessage(JSON.stringify(message), { maxJobMessageBytes: 1e6 });
    this.slot.received(this.connections[host], parsed);
  }
  stop(): void {
    this.stopping.abort(new JobStop("quit"));
  }
  drain(): void {
    this.draining.abort();
  }
  connectionTo(host: "a" | "b", state: ConnectionState): void {
    this.slot.stateChanged(this.connections[host], state);
  }
  tellStatus(): void {
    void this.slot.status(this.connections.a).then((status) => this.note(describe(status)));
  }
  /** What is named to host a. */
  tellJobs(): void {
    this.note(`names ${this.slot.jobIds(this.connections.a).join(", ") || "none"}`);
  }
  findLeftJob(): void {
    this.slot.resume(this.connections.a, jobOffer(job(8)), { ...leftState, job: job(8), phase: "running" });
  }
  endJob(end: JobOutcome): void {
    this.end.resolve(end);
  }

  letKnow(): void {
    this.gate.resolve(undefined);
  }

  private async bring(): Promise<void> {
    for (const host of ["a", "b"] as const) this.connectionTo(host, "connected");
    const { state } = this;
    if (state === "idle" || state === "undelivered") return;
    this.receive("a", state.endsWith("pending") ? grabJobs(1, 2) : offerOf(1));
    await this.settle();
    if (state === "running, draining") this.drain();
    const [phase] = state.split(",");
    if (this.current) this.current.phase = jobPhases.find((each) => each === phase) ?? "running";
    await this.settle();
  }

  private async work(current: CurrentJob): Promise<JobOutcome> {
    this.note(`works on ${current.job.id}${current.audience.isWatched ? ", with a viewer" : ""}`);
    this.current = current;
    current.phase = "running";
    current.controller.signal.addEventListener("abort", () =>
      this.note(`stops ${current.job.id}: ${stopReason(current)}`),
    );
    current.audience.onChange((change) => this.note(change));
    this.end = Promise.withResolvers();
    return await this.end.promise;
  }

  private connect(name: "a" | "b"): Connection {
    const client = {
      workerId: 5,
      errors: new RememberedErrors(),
      host: { name },
      call: async ({ path, query }: RestRequest) => {
        if (!path.endsWith("set_done")) throw new ApiError("Connection error: away", undefined);
        this.note(
          `${path.split("/")[1]} is ${query?.["result"]}${query?.["reason"] ? ` (${query["reason"]})` : ""}`,
        );
        return { status: 200, body: { result: query?.["result"] } };
      },
    };
    const connection = {
      client,
      host: { name },
      ended: new Promise(() => {}),
      send: (message: WorkerMessage) => {
        this.note(`${name}: ${describe(message)}`);
        return true;
      },
      sendStatusNow: () => {},
      reconnect: () => this.note(`reconnects to ${name}`),
      quit: async () => {},
    };
    return connection as unknown as Connection;
  }

  private note(text: string): void {
    this.seen.push(text);
  }

  private async settle(): Promise<void> {
    for (let turn = 0; turn < settlingTurns; turn++) {
      await stat("/");
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    this.gate.resolve(undefined);
    this.endJob(outcome("told"));
    await this.slot.ended;
    await this.spooled.stop();
    await this.host[Symbol.asyncDispose]();
  }
}

const leftState = { format: 1, host: "a", workerId: 5, acceptedAt: 1 } as const;

function jobOffer(received: object): OfferedJob {
  const offer = grabJob(received);
  if (offer.kind !== "grab_job") throw new Error(`the offer is ${offer.kind}`);
  return offer.job;
}

async function spoolJob(spool: Spool, poolDirectory: string): Promise<void> {
  const ending = { stopReason: "died" } as const;
  const left = { ...leftState, ending, phase: "delivering", job: job(9) } as const;
  await writeJobState(poolDirectory, left);
  const context = { signal: new AbortController().signal, log: silentLog };
  await spool.take({ poolDirectory, state: left, isVarsRedacted: true }, context);
}

function stopReason({ controller: { signal } }: CurrentJob): string {
  return signal.reason instanceof JobStop ? signal.reason.stopReason : String(signal.reason);
}

function describe(message: WorkerMessage): string {
  switch (message.type) {
    case "accepted":
      return `accepted ${message.jobid}`;
    case "rejected":
      return `rejected ${message.job_ids.join(", ")} (${message.reason})`;
    case "worker_status": {
      const pending = message.pending_job_ids
        ? ` pending ${Object.keys(message.pending_job_ids).join(", ")}`
        : "";
      const about = message.status === "working" ? ` ${message.job["id"]}${pending}` : "";
      return `${message.status}${about}`;
    }
    case "quit":
      return "quit";
  }
}
