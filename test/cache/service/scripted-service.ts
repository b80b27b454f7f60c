// A cache service that answers what a test says.

/** Makes the answer to a request. */
export type Answer = () => Response | Promise<Response>;

export interface ServiceRequest {
  /** "METHOD /path" */
  readonly call: string;
  readonly body: unknown;
}

export class ScriptedService {
  readonly requests: ServiceRequest[] = [];
  private readonly server: Bun.Server<undefined>;

  /** Answers by call; of a list each is given once, the last one from then on. */
  constructor(
    private readonly answers: Record<string, Answer | Answer[]>,
    port = 0,
  ) {
    this.server = Bun.serve({ hostname: "127.0.0.1", port, fetch: (request) => this.answer(request) });
  }

  get url(): string {
    return this.server.url.origin;
  }

  get calls(): readonly string[] {
    return this.requests.map(({ call }) => call);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop(true);
  }

  private async answer(request: Request): Promise<Response> {
    const call = `${request.method} ${new URL(request.url).pathname}`;
    const text = await request.text();
    this.requests.push({ call, body: text === "" ? undefined : JSON.parse(text) });
    const scripted = this.answers[call];
    const answer = Array.isArray(scripted) && scripted.length > 1 ? scripted.shift() : [scripted].flat()[0];
    if (answer === undefined) return new Response("not scripted", { status: 500 });
    return await answer();
  }
}

export function json(value: unknown, status = 200): Answer {
  return () => Response.json(value, { status });
}

export function text(body: string, init: ResponseInit = {}): Answer {
  return () => new Response(body, init);
}

/** What an idle stock service answers to `GET /info`. */
export const idleInfo = {
  active_jobs: 0,
  active_locks: 0,
  active_workers: 0,
  delayed_jobs: 0,
  enqueued_jobs: 0,
  failed_jobs: 0,
  finished_jobs: 0,
  inactive_jobs: 0,
  inactive_workers: 1,
  uptime: null,
  workers: 1,
};
