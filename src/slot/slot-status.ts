// What a web UI is told of a slot: pure (protocol 2.5).
import type { WorkerStatusMessage } from "../webui/messages.ts";
import type { Assignment } from "./assignment.ts";

export interface StatusFacts {
  /** Entry of HOST that is told. */
  readonly host: string;
  /** A job of that host whose end waits in the spool, as it was received. */
  readonly undelivered: Readonly<Record<string, unknown>> | undefined;
  readonly assignment: Assignment | undefined;
  /** Why the slot without a job takes none. */
  readonly unavailable: string | undefined;
}

/** A slot with a job never says that it is free (field lesson 3). */
export function slotStatus({ host, undelivered, assignment, unavailable }: StatusFacts): WorkerStatusMessage {
  const ids = assignment?.pendingIds ?? [];
  const pending = ids.length > 0 && {
    pending_job_ids: Object.fromEntries(ids.map((id) => [id, 1 as const])),
  };
  const working = (name: string, job: Readonly<Record<string, unknown>>) =>
    ({ type: "worker_status", status: "working", current_webui_host: name, job, ...pending }) as const;
  if (undelivered) return working(host, undelivered);
  if (assignment) return working(assignment.host, assignment.current.shown);
  if (unavailable !== undefined) return { type: "worker_status", status: "broken", reason: unavailable };
  return { type: "worker_status", status: "free" };
}
