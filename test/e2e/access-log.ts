// What nginx has sent, from its log: how often and how much of an asset was transferred.
import { readFile } from "node:fs/promises";
import type { OpenqaServer } from "./server.ts";
import { until } from "./until.ts";

const logLimitMs = 10_000;

export interface Access {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  /** Of the answer, without its head; fewer than announced when the connection broke. */
  readonly bodyBytes: number;
}

/** Requests that nginx was through with since this was made. */
export class AccessLog {
  private constructor(
    private readonly server: OpenqaServer,
    private readonly start: number,
  ) {}

  static async startingNow(server: OpenqaServer): Promise<AccessLog> {
    return new AccessLog(server, (await readFile(server.log("nginx-access"))).length);
  }

  async requests(): Promise<Access[]> {
    const text = (await readFile(this.server.log("nginx-access"))).subarray(this.start).toString();
    return text
      .split("\n")
      .slice(0, -1)
      .map((line) => {
        const [, , status, method = "", path = "", bodyBytes] = line.split(" ");
        return { method, path, status: Number(status), bodyBytes: Number(bodyBytes) };
      });
  }

  /** What a worker has posted of a job to `jobs/ID/ACTION`. */
  async postsOf(id: number, action: string): Promise<Access[]> {
    const path = `/api/v1/jobs/${id}/${action}`;
    return (await this.requests()).filter((one) => one.method === "POST" && one.path.split("?")[0] === path);
  }

  /** Statuses of the answers to a job's `set_done`. nginx logs one after the server has taken it: waits for the first. */
  async endsOf(id: number): Promise<number[]> {
    const ends = await until(`set_done of job ${id} is logged`, logLimitMs, async () => {
      const posts = await this.postsOf(id, "set_done");
      return posts.length > 0 ? posts : undefined;
    });
    return ends.map(({ status }) => status);
  }

  /** Of an asset's file itself, not of the redirection to it. `asset`: "TYPE/NAME". */
  async transfersOf(asset: string): Promise<Access[]> {
    return (await this.requests()).filter(({ path }) => path === `/assets/${asset}`);
  }

  /** Statuses of the answers for each of these assets. */
  async statuses(assets: readonly string[]): Promise<Record<string, number[]>> {
    const found: [string, number[]][] = [];
    for (const asset of assets)
      found.push([asset, (await this.transfersOf(asset)).map(({ status }) => status)]);
    return Object.fromEntries(found);
  }
}
