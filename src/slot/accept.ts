// Accepts a job of an offer, also when its web UI is away for a moment (protocol 5).
import { abortable } from "../abortable.ts";
import type { Settings } from "../config/settings.ts";
import type { Logger } from "../ops/log.ts";
import type { ConnectionState } from "../webui/connection.ts";
import { acceptedMessage } from "../webui/messages.ts";
import type { Assignment } from "./assignment.ts";
import type { SlotHosts } from "./slot-hosts.ts";

/**
 * Says so to the server. Of a queue, it is tried again when the websocket is back, a bounded number of times. "lost": the
 * server schedules the job again, "dropped": it was stopped before.
 */
export async function accept(
  assignment: Assignment,
  hosts: SlotHosts,
  settings: Pick<Settings, "acceptAttempts">,
  log: Logger,
): Promise<"accepted" | "lost" | "dropped"> {
  const { connection, current, isQueue, host } = assignment;
  const { signal } = current.controller;
  const { id } = current.job;
  for (let triesLeft = isQueue ? settings.acceptAttempts : 1; !signal.aborted; ) {
    if (connection.send(acceptedMessage(id))) return "accepted";
    triesLeft--;
    for (let state: ConnectionState = "failed"; state !== "connected" && triesLeft > 0; ) {
      state = await abortable(hosts.nextState(host), signal).catch(() => "connected");
      if (state === "disabled") triesLeft = 0;
      if (state === "failed") triesLeft--;
    }
    if (triesLeft > 0) continue;
    log.warn(`Job ${id} is not accepted: the websocket to ${host} is down`);
    return "lost";
  }
  log.info("Stopped before it was accepted");
  return "dropped";
}
