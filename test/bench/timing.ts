// When the steps of a job happen, seen from outside and in the same way for every worker: the websocket is looked at
// on its way, isotovideo is wrapped, answers are in nginx's log.
import { chmod, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { freePorts } from "../e2e/ports.ts";
import type { OpenqaServer } from "../e2e/server.ts";
import type { Worker } from "../e2e/workers.ts";
import { withServer } from "./with-server.ts";

/** Runs something on a server whose websockets are looked at, and stops both. */
export async function withTappedServer<T>(
  body: (server: OpenqaServer, tap: WebsocketTap) => Promise<T>,
): Promise<T> {
  const port = await freePorts(1);
  let tap: WebsocketTap | undefined;
  const options = {
    websocketVia(target: number) {
      tap = WebsocketTap.listen(port, target);
      return port;
    },
  };
  try {
    return await withServer(async (server) => {
      if (tap === undefined) throw new Error("the server has not asked where its websockets go");
      return await body(server, tap);
    }, options);
  } finally {
    tap?.close();
  }
}

/** Passes websockets on to the server's and notes when a job is sent to a worker. */
export class WebsocketTap {
  /** Milliseconds since the epoch. */
  private readonly grabTimes = new Map<number, number>();
  private constructor(private readonly listener: Bun.TCPSocketListener<Connection>) {}

  static listen(port: number, target: number): WebsocketTap {
    const tap: WebsocketTap = new WebsocketTap(
      Bun.listen<Connection>({
        hostname: "127.0.0.1",
        port,
        socket: {
          async open(client) {
            client.data = { server: Promise.resolve(undefined) };
            client.data.server = Bun.connect({
              hostname: "127.0.0.1",
              port: target,
              socket: {
                data(_, bytes) {
                  tap.look(bytes);
                  client.write(bytes);
                },
                close: () => void client.end(),
              },
            });
          },
          async data(client, bytes) {
            (await client.data.server)?.write(bytes);
          },
          async close(client) {
            (await client.data.server)?.end();
          },
        },
      }),
    );
    return tap;
  }

  grabTime(job: number): number {
    const time = this.grabTimes.get(job);
    if (time === undefined) throw new Error(`job ${job} was not seen on a websocket`);
    return time;
  }

  close(): void {
    this.listener.stop(true);
  }

  /** The message of a job of these tests fits into one read; its NAME begins with the job's number. */
  private look(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString("latin1");
    const id = /"type":"grab_job"/.test(text) && /"NAME":"(\d{8})-/.exec(text)?.[1];
    if (id) this.grabTimes.set(Number(id), Date.now());
  }
}

interface Connection {
  server: Promise<Bun.Socket | undefined>;
}

/**
 * Value for the job setting ISOTOVIDEO: isotovideo, or a Perl script in its place, which notes beside its pool directory
 * when it starts and ends, and what CPU it took.
 */
export async function installWrapper(server: OpenqaServer, script = "/usr/bin/isotovideo"): Promise<string> {
  const path = join(server.folder, `${basename(script)}-timed`);
  const wrapper = `#!/bin/bash
start=$EPOCHREALTIME
perl ${script} -d
code=$?
{ echo "$start $EPOCHREALTIME"; times; } >>"$PWD/../isotovideo-\${PWD##*/}"
exit $code
`;
  await writeFile(path, wrapper);
  await chmod(path, 0o755);
  return path;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** When isotovideo of the last job of a worker's first slot ran, in milliseconds since the epoch. */
export async function isotovideoSpan(worker: Worker): Promise<Span> {
  const last = (await isotovideoRuns(worker)).at(-1);
  if (last === undefined) throw new Error(`slot ${worker.instances[0]} has not run the wrapped isotovideo`);
  return last;
}

/** What all runs of isotovideo in a worker's first slot took so far, the wrapper included. */
export async function isotovideoCpuMs(worker: Worker): Promise<number> {
  return (await isotovideoRuns(worker)).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

async function isotovideoRuns(worker: Worker): Promise<(Span & { readonly cpuMs: number })[]> {
  const file = join(worker.poolFolder(), "..", `isotovideo-${worker.instances[0]}`);
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  // A line with start and end, and bash's two lines of CPU times: its own and its children's, user and system.
  return [...text.matchAll(/^([\d.]+) ([\d.]+)\n(\S+ \S+\n\S+ \S+)\n/gm)].map(([, from, to, times = ""]) => ({
    from: Number(from) * 1000,
    to: Number(to) * 1000,
    cpuMs: times.split(/\s/).reduce((sum, one) => sum + bashMs(one), 0),
  }));
}

/** Of "1m2.345s". */
function bashMs(time: string): number {
  const [, minutes, seconds] = /^(\d+)m([\d.]+)s$/.exec(time) ?? [];
  return (Number(minutes) * 60 + Number(seconds)) * 1000;
}

/** Requests of a job in nginx's log, in milliseconds since the epoch, but those that the measurement itself makes. */
export async function requestsOf(
  server: OpenqaServer,
  job: number,
): Promise<(Span & { readonly isLast: boolean })[]> {
  const lines = (await readFile(server.log("nginx-access"), "utf8")).split("\n");
  return lines.flatMap((line) => {
    const [end, seconds, , method, path] = line.split(" ");
    if (method !== "POST" || !path?.startsWith(`/api/v1/jobs/${job}/`)) return [];
    const to = Number(end) * 1000;
    return { from: to - Number(seconds) * 1000, to, isLast: path.includes("/set_done") };
  });
}

/** How much of a span is covered by at least one of others, in milliseconds. */
export function covered(span: Span, others: readonly Span[]): number {
  let reached = span.from;
  let sum = 0;
  for (const { from, to } of others.toSorted((a, b) => a.from - b.from)) {
    const start = Math.max(from, reached);
    const end = Math.min(to, span.to);
    if (end > start) sum += end - start;
    reached = Math.max(reached, Math.min(to, span.to));
  }
  return sum;
}
