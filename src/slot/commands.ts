// What a slot does about each message of a web UI: who is asked, and what is only logged (protocol 2.5).
import type { Logger } from "../ops/log.ts";
import type { Connection } from "../webui/connection.ts";
import type { OfferedJob } from "../webui/job-offers.ts";
import type { ServerMessage, StopCommand } from "../webui/messages.ts";

/** A slot, as messages see it. */
export interface CommandedSlot {
  offered(connection: Connection, jobs: readonly OfferedJob[]): void;
  reject(connection: Connection, jobIds: readonly string[], reason: string): void;
  /** Whether that job of that host is the current one. */
  has(connection: Connection, jobId: string): boolean;
  stopJob(stopReason: StopCommand): void;
  /** That web UI does not understand this worker. */
  becomeIncompatible(host: string): void;
}

export function obey(message: ServerMessage, connection: Connection, slot: CommandedSlot, log: Logger): void {
  const host = connection.host.name;
  switch (message.kind) {
    case "grab_job":
      slot.offered(connection, [message.job]);
      break;
    case "grab_jobs":
      slot.offered(connection, message.jobs);
      break;
    case "invalid-job":
      slot.reject(connection, message.jobIds, message.why);
      break;
    case "oversized-job": {
      const limit = connection.client.settings.own.limits.maxJobMessageBytes;
      const reason = `the job is too big: ${message.sizeBytes} bytes, the limit is ${limit}`;
      slot.reject(connection, message.jobIds, reason);
      break;
    }
    case "stop":
    case "live":
      if (!slot.has(connection, message.jobId))
        log.warn(
          `Ignoring ${message.type} of ${host} for job ${message.jobId}, which does not run here for it`,
        );
      else if (message.kind === "stop") slot.stopJob(message.type);
      else log.debug(`Ignoring ${message.type} for job ${message.jobId}: there is no live view yet`);
      break;
    case "incompatible":
      slot.becomeIncompatible(host);
      break;
    case "unknown":
      log.warn(`Ignoring message of unknown type "${message.type}" from ${host}`);
      break;
    case "invalid":
      log.warn(`Ignoring invalid message from ${host}: ${message.why}`);
      break;
    case "info":
    case "answer":
      break;
  }
}
