import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  type Connection,
  type ConnectionSettings,
  type ConnectionState,
  maintainConnection,
  type Peer,
} from "../../src/webui/connection.ts";
import type { ServerMessage, WorkerStatusMessage } from "../../src/webui/messages.ts";
import type { RestClient } from "../../src/webui/rest-client.ts";
import { type FakeWebUi, startFakeWebUi } from "../support/fake-web-ui.ts";
import { frame, upgrade } from "./raw-websocket.ts";
import { answer, clientFor, type TestContext, testContext, WebUiDoor } from "./web-ui-door.ts";

/** A slot that only notes what it is told. */
class NotingPeer implements Peer {
  readonly states: ConnectionState[] = [];
  readonly messages: ServerMessage[] = [];
  current: readonly string[] = [];
  says: WorkerStatusMessage = { type: "worker_status", status: "free" };
  onMessage: (message: ServerMessage, connection: Connection) => void = () => {};
  private waiting: { readonly until: () => boolean; readonly resolve: () => void }[] = [];

  jobIds() {
    return this.current;
  }
  async status() {
    return this.says;
  }
  received(connection: Connection, message: ServerMessage) {
    this.messages.push(message);
    this.onMessage(message, connection);
    this.wake();
  }
  stateChanged(_connection: Connection, state: ConnectionState) {
    this.states.push(state);
    this.wake();
  }
  /** Resolves when the states have come that often to that one. */
  reaches(state: ConnectionState, times = 1): Promise<void> {
    return this.eventually(() => this.states.filter((each) => each === state).length >= times);
  }
  hears(kind: ServerMessage["kind"]): Promise<void> {
    return this.eventually(() => this.messages.some((each) => each.kind === kind));
  }
  private eventually(until: () => boolean): Promise<void> {
    return until() ? Promise.resolve() : new Promise((resolve) => this.waiting.push({ until, resolve }));
  }
  private wake() {
    for (const { until, resolve } of this.waiting) if (until()) resolve();
  }
}

const settings: ConnectionSettings = {
  statusMinIntervalMs: 100_000,
  statusMaxIntervalMs: 100_000,
  connectIntervalMs: 5,
  registration: {
    capabilities: {
      nodeName: "vm",
      cpuArch: "x86_64",
      cpuModelName: undefined,
      cpuOpMode: undefined,
      cpuFlags: undefined,
      memMaxMib: 1000,
    },
    instance: 1,
    workerClass: "qemu_x86_64",
    isotovideoVersion: undefined,
    parallelOneHostOnly: undefined,
  },
};

describe.each([2023, 2026] as const)("with the server of %d", (generation) => {
  let ui: FakeWebUi;
  let peer: NotingPeer;
  let context: TestContext;
  let client: RestClient;
  const begun: Connection[] = [];

  function connect(changes: Partial<ConnectionSettings> = {}): Connection {
    client = clientFor(ui.url, { host: { credentials: { key: ui.key, secret: ui.secret } } });
    const connection = maintainConnection(client, peer, { ...settings, ...changes }, context);
    begun.push(connection);
    return connection;
  }
  const statuses = () => ui.messages.filter(({ value }) => value["type"] === "worker_status");
  const registrations = () => ui.requests.filter(({ path }) => path === "/api/v1/workers").slice(1);

  beforeEach(async () => {
    ui = await startFakeWebUi({ generation });
    peer = new NotingPeer();
    context = testContext();
  });
  afterEach(async () => {
    context.controller.abort();
    for (const { ended } of begun.splice(0)) await ended;
    await ui.stop();
  });

  test("registers, connects and says how the slot is", async () => {
    connect();
    await ui.registered();
    expect(peer.states).toEqual(["registering", "connected"]);
    expect(client.workerId).toBe(statuses()[0]!.workerId);
    expect(statuses().map(({ value }) => value)).toEqual([{ type: "worker_status", status: "free" }]);
  });

  test("the next status comes by itself", async () => {
    connect({ statusMinIntervalMs: 5, statusMaxIntervalMs: 10 });
    await ui.message(() => statuses().length >= 4);
    if (generation === 2026) expect(peer.messages).toContainEqual({ kind: "info", seen: true });
  });

  test("a status can be asked for at any time", async () => {
    const connection = connect();
    await ui.registered();
    peer.says = { type: "worker_status", status: "broken", reason: "load" };
    connection.sendStatusNow();
    expect((await ui.message({ status: "broken" })).value).toEqual({ ...peer.says });
  });

  test("after a loss it registers again, naming the jobs it has, and goes on", async () => {
    connect();
    await ui.registered();
    peer.current = ["12", "13"];
    ui.dropWebsockets();
    await peer.reaches("connected", 2);
    await ui.message(() => statuses().length === 2);
    expect(peer.states).toEqual(["registering", "connected", "failed", "registering", "connected"]);
    expect(registrations().at(-1)!.query.getAll("job_id")).toEqual(["12", "13"]);
    const lost = context.entries.find(({ level }) => level === "warn");
    expect(lost?.text).toBe(
      `Websocket connection to ${ui.url.replace("http", "ws")}/api/v1/ws/${client.workerId} finished by remote side ` +
        "with code 1008, Connection terminated from WebSocket server - thought dead - trying again in 0.0 seconds",
    );
  });

  test("told to, it registers again at once, and says nothing of a loss", async () => {
    const connection = connect({ connectIntervalMs: 100_000 });
    await ui.registered();
    peer.current = ["12"];
    connection.reconnect();
    await peer.reaches("connected", 2);
    expect(peer.states).toEqual(["registering", "connected", "registering", "connected"]);
    expect(registrations().at(-1)!.query.getAll("job_id")).toEqual(["12"]);
    expect(context.entries.filter(({ level }) => level === "warn")).toEqual([]);
  });

  test("an error of the websocket is remembered until the next upgrade", async () => {
    connect();
    await ui.registered();
    const refusals = ui.fault(/\/ws\//, { status: 502 }, 1000);
    ui.dropWebsockets();
    await peer.reaches("failed", 2);
    expect(client.errors.text()).toEndWith(`/api/v1/ws/${client.workerId}, code 502`);
    refusals.remove();
    await peer.reaches("connected", 2);
    expect(client.errors.text()).toBe(undefined);
  });

  test("a web UI that is away is tried again until it is back", async () => {
    await ui.goAway();
    connect();
    await peer.reaches("failed", 3);
    expect(client.errors.text()).toBe("Failed to register at ui - connection error: Connection refused");
    await ui.comeBack();
    await ui.registered();
    expect(client.errors.text()).toBe(undefined);
  });

  test("a web UI that has too many workers is left alone for as long as it asks", async () => {
    ui.fault(/\/ws\//, { status: 429, headers: { "Retry-After": "900" } });
    connect();
    await peer.reaches("failed");
    expect(context.entries.at(-1)!.text).toEndWith(", code 429 - trying again in 900.0 seconds");
  });

  test("a refused registration ends the connection for good", async () => {
    ui.fault(/^POST \/api\/v1\/workers/, { status: 403, body: '{"error":"no api key"}' }, 1000);
    await connect().ended;
    expect(peer.states).toEqual(["registering", "disabled"]);
    expect(context.entries.at(-1)).toMatchObject({
      level: "error",
      text: "Failed to register at ui - 403 response: no api key - ignoring the host from now on",
    });
  });

  test.each(["{", "[1]", "<html>", '{"type":"nonsense"}', '{"type":"cancel","jobid":{}}'])(
    "the bad message %s is told to the peer, and the connection lives on",
    async (text) => {
      connect();
      const workerId = await ui.registered();
      ui.send(workerId, text);
      ui.send(workerId, { type: "cancel", jobid: 12 });
      await peer.hears("stop");
      expect(peer.messages.some(({ kind }) => kind === "invalid" || kind === "unknown")).toBe(true);
      expect(peer.states).toEqual(["registering", "connected"]);
    },
  );

  test("a job too big for us is named, and the connection lives on", async () => {
    connect();
    await ui.registered();
    const job = ui.offer({ BIG: "x".repeat(600 * 1024) });
    await peer.hears("oversized-job");
    expect(peer.messages.at(-1)).toMatchObject({ jobIds: [String(job.id)] as never });
    expect(peer.states).toEqual(["registering", "connected"]);
  });

  test("a fault of the peer is logged, and the connection lives on", async () => {
    peer.onMessage = (message) => {
      if (message.kind === "incompatible") throw new Error("fault");
    };
    connect();
    const workerId = await ui.registered();
    ui.send(workerId, { type: "incompatible" });
    ui.send(workerId, { type: "cancel", jobid: 12 });
    await peer.hears("stop");
    expect(context.entries).toContainEqual(expect.objectContaining({ level: "error" }));
  });

  test("an answer to an offer goes out from within its handler", async () => {
    peer.onMessage = (message, connection) => {
      if (message.kind === "grab_job") connection.send({ type: "accepted", jobid: Number(message.job.id) });
    };
    connect();
    await ui.registered();
    const job = ui.offer();
    await ui.message({ type: "accepted", jobid: job.id });
  });

  test("quitting says so, closes, and ends", async () => {
    const connection = connect();
    await ui.registered();
    await connection.quit();
    await ui.message({ type: "quit" });
    expect(connection.send({ type: "quit" })).toBe(false);
    expect(peer.states).toEqual(["registering", "connected"]);
  });

  test("quitting while the web UI is away ends at once", async () => {
    await ui.goAway();
    const connection = connect({ connectIntervalMs: 100_000 });
    await peer.reaches("failed");
    await connection.quit();
    expect(peer.states).toEqual(["registering", "failed"]);
  });

  test("an aborted connection closes without a word", async () => {
    const connection = connect();
    await ui.registered();
    context.controller.abort();
    await connection.ended;
    expect(ui.messages.map(({ value }) => value["type"])).toEqual(["worker_status"]);
  });
});

test("an offer that comes together with the upgrade can be answered", async () => {
  const peer = new NotingPeer();
  const offer = JSON.stringify({ type: "grab_job", job: { id: 12, settings: {} } });
  await using server = await WebUiDoor.open(
    answer(200, ""),
    answer(200, '{"id":1}'),
    upgrade((socket) => socket.write(frame(1, offer))),
  );
  const sent = new Promise<boolean>((resolve) => {
    peer.onMessage = (_message, connection) => resolve(connection.send({ type: "accepted", jobid: 12 }));
  });
  const context = testContext();
  const { ended } = maintainConnection(clientFor(server.url), peer, settings, context);
  expect(await sent).toBe(true);
  context.controller.abort();
  await ended;
});
