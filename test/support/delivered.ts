// What a fake web UI has been told and given of a job, in a form that tests compare.
import { lastLogs } from "../../src/results/job-log-names.ts";
import { type FakeJob, type FakeWebUi, fieldOf, fileNameOf, type RecordedRequest } from "./fake-web-ui.ts";
import { isObject } from "./fake-web-ui-jobs.ts";

/**
 * Sorted names; those that came twice stand there twice, but for the job's own logs, which go up again when lines have come
 * since.
 */
export interface Uploaded {
  readonly logs: readonly string[];
  readonly assets: readonly string[];
  readonly pictures: readonly string[];
}

export interface JobEnd {
  readonly result: string | null;
  readonly reason: string | null;
  readonly newbuild: string | null;
}

/** The answered requests about a job, in order: "setup", "status", "uploading", "log", "picture", "set_done", ... */
export function stepsOf(ui: FakeWebUi, job: FakeJob): string[] {
  return answered(ui, job).map(stepOf);
}

/** Every `set_done` that was answered. */
export function endsOf(ui: FakeWebUi, job: FakeJob): JobEnd[] {
  return answered(ui, job)
    .filter((request) => stepOf(request) === "set_done")
    .map(({ query }) => ({
      result: query.get("result"),
      reason: query.get("reason"),
      newbuild: query.get("newbuild"),
    }));
}

export function uploadedOf(ui: FakeWebUi, job: FakeJob): Uploaded {
  const named = (step: string) =>
    answered(ui, job)
      .filter((request) => stepOf(request) === step)
      .map((request) => fileNameOf(request) ?? "")
      .sort();
  const logs = named("log").filter((name, at, all) => !lastLogs.includes(name) || all.indexOf(name) === at);
  return { logs, assets: named("asset"), pictures: named("picture") };
}

/** Types of the messages about a job that are answers to its offer. */
export function answersTo(ui: FakeWebUi, job: FakeJob): string[] {
  return ui.messages.flatMap(({ value: { type, jobid, job_ids } }) => {
    const isAbout = Array.isArray(job_ids) ? job_ids.map(String) : [String(jobid)];
    return isAbout.includes(String(job.id)) ? [String(type)] : [];
  });
}

export function isUploading(json: unknown): boolean {
  return hasStatus(json, { uploading: 1 });
}

function hasStatus(json: unknown, status: object): boolean {
  return isObject(json) && Bun.deepMatch({ status }, json);
}

function answered(ui: FakeWebUi, job: FakeJob): RecordedRequest[] {
  return ui.requestsOf(job.id).filter(({ answer }) => answer?.status === 200);
}

function stepOf({ path, json, form }: RecordedRequest): string {
  if (path.endsWith("/artefact")) {
    if (fieldOf(form, "asset") !== undefined) return "asset";
    if (fieldOf(form, "thumb") === "1") return "thumbnail";
    if (fieldOf(form, "image") === "1") return "picture";
    return fieldOf(form, "image") === "0" ? "text" : "log";
  }
  if (!path.endsWith("/status")) return path.slice(path.lastIndexOf("/") + 1);
  if (isUploading(json)) return "uploading";
  return hasStatus(json, { setup: 1 }) ? "setup" : "status";
}
