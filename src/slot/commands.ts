// What a slot does about each message of a web UI: who is asked, and what is only logged (protocol 2.5).
import type { Logger } from "../ops/log.ts";
import type { Connection } from "../webui/connection.ts";
import type { OfferedJob } from "../webui/job-offers.ts";
import type { JobSequence, LiveCommand, ServerMessage, StopCommand } from "../webui/messages.ts";

/** A slot, as messages see it. */
export interface CommandedSlot {
  offered(connection: Connection, jobs: readonly OfferedJob[], sequence: JobSequence): void;
  reject(connection: Connection, jobIds: readonly string[], reason: string): void;
  /** What that job of that host is to the slot. */
  holds(connection: Connection, jobId: string): "current" | "pending" | undefined;
  stopJob(jobId: string, command: StopCommand): void;
  /** Somebody begins or ends to follow the current job. */
  follow(command: LiveCommand): void;
  /** That web UI does not understand this worker. */
  becomeIncompatible(host: string): void;
}

export function obey(message: ServerMessage, connection: Connection, slot: CommandedSlot, log: Logger): void {
  const host = connection.host.name;
  switch (message.kind) {
    case "grab_job":
      slot.offered(connection, [message.job], [message.job.id]);
      break;
    case "grab_jobs":
      slot.offered(connection, message.jobs, message.sequence);
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
      if (slot.holds(connection, message.jobId)) slot.stopJob(message.jobId, message.type);
      else log.warn(`Ignoring ${message.type} of ${host} for job ${message.jobId}, which is not here for it`);
      break;
    case "live":
      if (slot.holds(connection, message.jobId) === "current") slot.follow(message.type);
      else
        log.warn(
          `Ignoring ${message.type} of ${host} for job ${message.jobId}, which does not run here for it`,
        );
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
