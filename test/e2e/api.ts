// The server's REST interface, as far as the end-to-end tests use it. Own code on purpose: the product's client is what
// is being tested.
import { createHmac } from "node:crypto";
import { z } from "zod";
import { credentials } from "./server-files.ts";

const workersAnswer = z.object({
  workers: z.array(
    z.object({
      id: z.number(),
      instance: z.number(),
      status: z.string(),
      connected: z.number(),
      jobid: z.number().optional(),
    }),
  ),
});

export interface WorkerEntry {
  readonly id: number;
  readonly instance: number;
  readonly isFree: boolean;
  readonly isConnected: boolean;
  readonly status: string;
  /** Job that it has, or undefined. */
  readonly jobId: number | undefined;
}

export class Api {
  constructor(private readonly url: string) {}

  async workers(): Promise<WorkerEntry[]> {
    const { workers } = workersAnswer.parse(await this.get("workers"));
    return workers.map(({ id, instance, status, connected, jobid }) => ({
      id,
      instance,
      status,
      isConnected: connected === 1,
      isFree: connected === 1 && status === "idle",
      jobId: jobid,
    }));
  }

  /** Path below /api/v1/. Throws for anything but 2xx. */
  async get(path: string): Promise<unknown> {
    return (await this.request("GET", `/api/v1/${path}`)).json();
  }

  async post(path: string, form: Readonly<Record<string, string>> = {}): Promise<unknown> {
    return (await this.request("POST", `/api/v1/${path}`, new URLSearchParams(form))).json();
  }

  /** A file, path from the root. */
  async download(path: string): Promise<Uint8Array> {
    return (await this.request("GET", path)).bytes();
  }

  private async request(method: string, path: string, body?: URLSearchParams): Promise<Response> {
    const time = String(Math.floor(Date.now() / 1000));
    const answer = await fetch(this.url + path, {
      method,
      ...(body ? { body } : {}),
      signal: AbortSignal.timeout(30_000),
      headers: {
        Accept: "application/json",
        "X-API-Key": credentials.key,
        "X-API-Microtime": time,
        "X-API-Hash": createHmac("sha1", credentials.secret)
          .update(path + time)
          .digest("hex"),
      },
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }
}
