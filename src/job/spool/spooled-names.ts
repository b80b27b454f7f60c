// What of a pool directory the end of a job needs, by name, and what an entry of the spool is called.
import { createHash } from "node:crypto";
import { isJobLog } from "../../results/job-log-names.ts";
import type { JobState } from "../state-file.ts";

const thumbnails = "testresults/.thumbs";

/** Folders of the pool that move as a whole. */
const spooledFolders: readonly string[] = ["testresults", "ulogs", "assets_private", "assets_public"];

/** All folders of an entry that anything is uploaded from. */
export const uploadedFolders: readonly string[] = [".", ...spooledFolders, thumbnails];

/** For the last status and the reason. */
const stateFiles: readonly string[] = ["autoinst-status.json", "base_state.json"];

/** Made once for all jobs of a slot: a copy goes with each. */
export const sharedFiles: readonly string[] = ["worker_packages.txt"];

/** `vars.json` goes only without its secrets. */
export function isSpooled(name: string, isVarsRedacted: boolean): boolean {
  if (name === "vars.json") return isVarsRedacted;
  return spooledFolders.includes(name) || stateFiles.includes(name) || isJobLog(name);
}

/** The same for the same job, whatever has been told of it since. */
export function entryName({ acceptedAt, job, host }: JobState): string {
  const id = String(job.id);
  const time = Math.min(Math.max(0, Math.trunc(acceptedAt)), Number.MAX_SAFE_INTEGER);
  // An id is what a web UI has sent: no name of a file before it has been looked at.
  const readableId = /^\d{1,20}$/.test(id) ? id : "0";
  const hash = createHash("sha256").update(`${host}\n${id}`).digest("hex").slice(0, 16);
  return `${time}-${readableId}-${hash}`;
}

export function isEntryName(name: string): boolean {
  return /^\d{1,16}-\d{1,20}-[0-9a-f]{16}$/.test(name);
}

/** The job that was accepted first comes first. */
export function byAcceptance(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
