import { expect, test } from "bun:test";
import { type Registration, RegistrationError, register } from "../../src/webui/registration.ts";
import debian2023 from "../fixtures/recorded/debian-2023.json";
import git2026 from "../fixtures/recorded/git-2026.json";
import * as door from "./web-ui-door.ts";
import { answer, clientFor, type Play, testContext, WebUiDoor } from "./web-ui-door.ts";

const registration: Registration = {
  capabilities: {
    nodeName: "vm",
    cpuArch: "x86_64",
    cpuModelName: "AMD EPYC",
    cpuOpMode: "32-bit, 64-bit",
    cpuFlags: undefined,
    memMaxMib: 24105,
  },
  instance: 2,
  workerClass: "qemu_x86_64,testbed",
  jobIds: ["12", "13"],
  isotovideoVersion: 34,
  parallelOneHostOnly: undefined,
};

test("everything goes into the query, what is unset is left out", async () => {
  await using server = await WebUiDoor.open(answer(200, '{"id":1}'));
  await register(clientFor(server.url), registration, testContext());
  expect(server.requests[0]!.line).toBe(
    "POST /api/v1/workers?host=vm&instance=2&cpu_arch=x86_64&cpu_modelname=AMD+EPYC&cpu_opmode=32-bit%2C+64-bit" +
      "&mem_max=24105&worker_class=qemu_x86_64%2Ctestbed&websocket_api_version=1" +
      "&isotovideo_interface_version=34&job_id=12&job_id=13 HTTP/1.1",
  );
});

const recorded = [...debian2023.calls, ...git2026.calls].filter(
  ({ call }) => call === "POST /api/v1/workers",
);
test.each([
  ...recorded.map(({ answer: body }) => [body, 1, 2] as const),
  [{ id: "17", service_port_delta: 5 }, 17, 5] as const,
  [{ id: 3, service_port_delta: "x" }, 3, 2] as const,
])("answer %j", async (body, workerId, servicePortDelta) => {
  await using server = await WebUiDoor.open(answer(200, JSON.stringify(body)));
  const client = clientFor(server.url);
  client.errors.note("registration", "failed before");
  await register(client, registration, testContext());
  expect(client).toMatchObject({ workerId, servicePortDelta });
  expect(client.errors.text()).toBe(undefined);
});

const longMismatch =
  "timestamp mismatch - check whether clocks on the local host and the web UI host are in sync (x)";
test.each<[Play, "disabled" | "failed", string]>([
  [answer(403, '{"error":"no api key"}'), "disabled", "Failed to register at ui - 403 response: no api key"],
  [
    answer(426, '{"error":"Incompatible websocket API version at x.\\n"}'),
    "disabled",
    "Failed to register at ui - 426 response: Incompatible websocket API version at x.",
  ],
  [answer("404 Not Found", ""), "disabled", "Failed to register at ui - 404 response: Not Found"],
  // A clock that is off disables nothing: field lesson 35.
  [
    answer(403, '{"error":"timestamp mismatch"}'),
    "failed",
    "Failed to register at ui - 403 response: timestamp mismatch",
  ],
  [
    answer(403, JSON.stringify({ error: longMismatch })),
    "failed",
    `Failed to register at ui - 403 response: ${longMismatch}`,
  ],
  [
    answer("503 Service Unavailable", "<html>"),
    "failed",
    "Failed to register at ui - 503 response: Service Unavailable",
  ],
  [
    answer("429 Too Many Requests", "<html>"),
    "failed",
    "Failed to register at ui - 429 response: Too Many Requests",
  ],
  [door.reset, "failed", "Failed to register at ui - connection error: Premature connection close"],
  [answer(200, "{}"), "disabled", "Failed to register at ui - host did not return a worker ID"],
  [answer(200, '{"id":null}'), "disabled", "Failed to register at ui - host did not return a worker ID"],
  [answer(200, "<html>"), "failed", "Failed to register at ui - 200 response: no JSON object"],
])("refusal %#: %s", async (play, outcome, message) => {
  await using server = await WebUiDoor.open(play);
  const client = clientFor(server.url);
  const error = await register(client, registration, testContext()).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RegistrationError);
  expect(error).toMatchObject({ outcome, message });
  expect(client.errors.text()).toBe(message);
  expect(client.workerId).toBe(undefined);
  expect(server.requests).toHaveLength(1);
});

test("a node named localhost registers at a local web UI only", async () => {
  await using server = await WebUiDoor.open(answer(200, '{"id":1}'));
  const local = { ...registration, capabilities: { ...registration.capabilities, nodeName: "localhost" } };
  await register(clientFor(server.url), local, testContext());
  const fetched: string[] = [];
  const remote = clientFor("http://ui.example", {
    fetch: async (url) => {
      fetched.push(url);
      return new Response();
    },
  });
  await expect(register(remote, local, testContext())).rejects.toMatchObject({
    outcome: "disabled",
    message: "Rejecting registration as ambiguous 'localhost' to remote web UI host 'ui'",
  });
  expect(fetched).toEqual([]);
});
