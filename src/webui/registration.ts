// Registration of a slot at one web UI host (protocol 2.4). It happens before each websocket connection.
import { z } from "zod";
import type { Context } from "../context.ts";
import { ApiError, exitCode, WorkerError } from "../errors.ts";
import { silentLog } from "../ops/log.ts";
import { isLoopback, type Query } from "./authentication.ts";
import type { Capabilities } from "./capabilities.ts";
import type { RestClient } from "./rest-client.ts";

export interface Registration {
  readonly capabilities: Capabilities;
  readonly instance: number;
  readonly workerClass: string;
  /** Jobs of this slot that the server must not take for lost: the current and the pending ones. */
  readonly jobIds: readonly string[];
  /** The number N of isotovideo's "interface vN". */
  readonly isotovideoVersion: number | undefined;
  readonly parallelOneHostOnly: string | undefined;
}

/** `disabled`: never tried again at this host. `failed`: tried again later. */
export class RegistrationError extends WorkerError {
  readonly exitCode = exitCode.failed;
  constructor(
    readonly outcome: "disabled" | "failed",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const websocketApiVersion = "1";

const answerSchema = z.looseObject({
  id: z.union([z.number().int(), z.string().regex(/^\d+$/).transform(Number)]),
  service_port_delta: z.number().int().catch(2),
});

/** Sets worker id and port delta of the client. Throws `RegistrationError`, whose text the client also remembers. */
export async function register(
  client: RestClient,
  registration: Registration,
  context: Context,
): Promise<void> {
  try {
    const { id, service_port_delta } = await post(client, registration, context);
    client.workerId = id;
    client.servicePortDelta = service_port_delta;
    client.errors.clear("registration");
  } catch (error) {
    if (error instanceof RegistrationError) client.errors.note("registration", error.message);
    throw error;
  }
}

async function post(client: RestClient, registration: Registration, context: Context) {
  const { name } = client.host;
  if (registration.capabilities.nodeName === "localhost" && !isLoopback(new URL(client.url)))
    throw new RegistrationError(
      "disabled",
      `Rejecting registration as ambiguous 'localhost' to remote web UI host '${name}'`,
    );
  const request = { method: "POST", path: "workers", query: queryOf(registration), tries: 1 } as const;
  try {
    const { body } = await client.call(
      { ...request, expects: "json", remembered: false },
      { ...context, log: silentLog },
    );
    const answer = answerSchema.safeParse(body);
    if (answer.success) return answer.data;
  } catch (error) {
    if (error instanceof ApiError) throw refused(name, error);
    throw error;
  }
  throw new RegistrationError("disabled", `Failed to register at ${name} - host did not return a worker ID`);
}

function refused(name: string, error: ApiError): RegistrationError {
  const text = error.message.replace(/^Connection error/, "connection error");
  const message = `Failed to register at ${name} - ${text}`;
  return new RegistrationError(error.isFinal ? "disabled" : "failed", message, { cause: error });
}

function queryOf(registration: Registration): Query {
  const { capabilities } = registration;
  const fields = {
    host: capabilities.nodeName,
    instance: String(registration.instance),
    cpu_arch: capabilities.cpuArch,
    cpu_modelname: capabilities.cpuModelName,
    cpu_opmode: capabilities.cpuOpMode,
    cpu_flags: capabilities.cpuFlags,
    mem_max: String(capabilities.memMaxMib),
    worker_class: registration.workerClass,
    websocket_api_version: websocketApiVersion,
    isotovideo_interface_version: registration.isotovideoVersion?.toString(),
    parallel_one_host_only: registration.parallelOneHostOnly,
    job_id: registration.jobIds,
  };
  const query: Record<string, string | readonly string[]> = {};
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query[name] = value;
  return query;
}
