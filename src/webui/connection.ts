// The life of a slot's connection to one web UI host (protocol 2.4, 2.5): register, open the websocket, serve it until it
// closes, wait, again. What messages entail is the peer's affair.
import type { Settings, WebUiHostSettings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { sleep } from "../sleep.ts";
import {
  parseServerMessage,
  type ServerMessage,
  type WorkerMessage,
  type WorkerStatusMessage,
} from "./messages.ts";
import { type Registration, RegistrationError, register } from "./registration.ts";
import type { RestClient } from "./rest-client.ts";
import { StatusMessages } from "./status-messages.ts";
import { openWorkerSocket, type SocketEnd, WebSocketError, type WorkerSocket } from "./worker-socket.ts";

/** `disabled` is for good: the host refused the registration. */
export type ConnectionState = "registering" | "connected" | "failed" | "disabled";

/** The slot, as its connections see it. */
export interface Peer {
  /** Named at each registration: the jobs of that web UI that the slot has, pending and undelivered ones among them. */
  jobIds(connection: Connection): readonly string[];
  /** Looks how the slot is, and says what that web UI is told. */
  status(connection: Connection): Promise<WorkerStatusMessage>;
  received(connection: Connection, message: ServerMessage): void;
  stateChanged(connection: Connection, state: ConnectionState): void;
}

export interface ConnectionSettings
  extends Pick<Settings, "statusMinIntervalMs" | "statusMaxIntervalMs" | "connectIntervalMs"> {
  readonly registration: Omit<Registration, "jobIds">;
}

export interface Connection {
  readonly client: RestClient;
  readonly host: WebUiHostSettings;
  /** Resolves when the host has refused the slot for good, after `quit`, or when the signal is aborted. */
  readonly ended: Promise<void>;
  /** False when the websocket is down: then nothing was sent. */
  send(message: WorkerMessage): boolean;
  /** Asks the peer how it is, sends that, and counts the interval anew. Does nothing while the websocket is down. */
  sendStatusNow(): void;
  /** Drops the websocket: the registration that follows at once tells the server which jobs the slot still has. */
  reconnect(): void;
  /** Goes offline on purpose: says so if it can, closes, and resolves when that is done. */
  quit(): Promise<void>;
}

/** Starts the connection and keeps it up until the signal is aborted; that closes it without a word. */
export function maintainConnection(
  client: RestClient,
  peer: Peer,
  settings: ConnectionSettings,
  context: Context,
): Connection {
  return new MaintainedConnection(client, peer, settings, context);
}

/** Waits are up to this share of the connect interval longer: not all workers come back at the same moment. */
const connectJitter = 0.5;
class MaintainedConnection implements Connection {
  readonly client: RestClient;
  readonly ended: Promise<void>;
  private readonly peer: Peer;
  private readonly settings: ConnectionSettings;
  private readonly context: Context;
  private readonly goodbye = new AbortController();
  /** While the websocket is up. */
  private live: { readonly socket: WorkerSocket; readonly statuses: StatusMessages } | undefined;
  private isReconnecting = false;

  constructor(client: RestClient, peer: Peer, settings: ConnectionSettings, context: Context) {
    this.client = client;
    this.peer = peer;
    this.settings = settings;
    this.context = { ...context, signal: AbortSignal.any([context.signal, this.goodbye.signal]) };
    this.ended = this.maintain();
  }

  get host(): WebUiHostSettings {
    return this.client.host;
  }

  private async maintain(): Promise<void> {
    const { signal } = this.context;
    try {
      await this.client.adoptRedirect(this.context);
      for (;;) {
        const pauseMs = await this.registerAndServe();
        if (pauseMs === undefined) return;
        await sleep(pauseMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Resolves with the wait until the next time; undefined: there is none. */
  private async registerAndServe(): Promise<number | undefined> {
    const { client, peer, settings, context } = this;
    const { log, signal } = context;
    try {
      peer.stateChanged(this, "registering");
      log.info(`Registering with openQA ${client.url}`);
      await register(client, { ...settings.registration, jobIds: peer.jobIds(this) }, context);
      const { url, closed } = await this.open();
      log.info(
        `Registered and connected via websockets with openQA host ${client.url} and worker ID ${client.workerId}`,
      );
      peer.stateChanged(this, "connected");
      this.sendStatusNow();
      const { code, reason } = await closed;
      signal.throwIfAborted();
      if (this.isReconnecting) {
        this.isReconnecting = false;
        return 0;
      }
      const end = `finished by remote side with code ${code}, ${reason || "no reason"}`;
      throw new WebSocketError(`Websocket connection to ${url} ${end}`, undefined);
    } catch (error) {
      signal.throwIfAborted();
      return this.failed(error);
    } finally {
      this.live?.statuses.stop();
      this.live = undefined;
    }
  }

  private async open(): Promise<{ url: string; closed: Promise<SocketEnd> }> {
    const { client, context } = this;
    // What comes together with the upgrade is heard when it can be answered.
    const early: string[] = [];
    const onText = (text: string) => (this.live ? this.received(text) : early.push(text));
    const socket = await openWorkerSocket(client, onText, context);
    this.live = { socket, statuses: this.statusesFor(socket) };
    for (const text of early) this.received(text);
    client.errors.clear("websocket");
    const close = () => socket.close();
    context.signal.addEventListener("abort", close, { once: true });
    if (context.signal.aborted) close();
    const closed = socket.closed.finally(() => context.signal.removeEventListener("abort", close));
    return { url: socket.url, closed };
  }

  private statusesFor(socket: WorkerSocket): StatusMessages {
    const { statusMinIntervalMs: minIntervalMs, statusMaxIntervalMs: maxIntervalMs } = this.settings;
    const { random } = this.client;
    const status = () => this.peer.status(this);
    return new StatusMessages({
      status,
      send: socket.send,
      minIntervalMs,
      maxIntervalMs,
      random,
      log: this.context.log,
    });
  }

  private failed(error: unknown): number | undefined {
    const { client, peer, context, settings } = this;
    if (error instanceof RegistrationError && error.outcome === "disabled") {
      context.log.error(`${error.message} - ignoring the host from now on`);
      peer.stateChanged(this, "disabled");
      return undefined;
    }
    if (error instanceof WebSocketError) client.errors.note("websocket", error.message);
    const askedForMs = error instanceof WebSocketError ? error.retryAfterMs : undefined;
    const jitterMs = settings.connectIntervalMs * connectJitter * client.random();
    const pauseMs = (askedForMs ?? settings.connectIntervalMs) + jitterMs;
    context.log.warn(`${errorText(error)} - trying again in ${(pauseMs / 1000).toFixed(1)} seconds`);
    peer.stateChanged(this, "failed");
    return pauseMs;
  }

  private received(text: string): void {
    const { client, context } = this;
    const message = parseServerMessage(text, client.settings.own.limits);
    context.log.debug(`Message from ${this.host.name}: ${message.kind}`);
    if (message.kind === "info" && message.seen) this.live?.statuses.acknowledged();
    try {
      this.peer.received(this, message);
    } catch (error) {
      context.log.error(`Internal error at a message of kind ${message.kind}: ${errorText(error)}`);
    }
  }

  send(message: WorkerMessage): boolean {
    return this.live?.socket.send(message) ?? false;
  }

  sendStatusNow(): void {
    this.live?.statuses.sendNow();
  }

  reconnect(): void {
    if (!this.live) return;
    this.isReconnecting = true;
    this.live.socket.close();
  }

  async quit(): Promise<void> {
    this.send({ type: "quit" });
    this.goodbye.abort();
    await this.ended;
  }
}
