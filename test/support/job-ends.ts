// What a fake web UI holds of a job in the end, and in which order it came there: for jobs whose end was disturbed, to be
// compared with the same job's undisturbed one.
import { expect } from "bun:test";
import type { FakeJob, FakeWebUi, RecordedRequest } from "./fake-web-ui.ts";

/** Both jobs have run the same settings, each at a web UI and with a worker of its own. */
export function expectSameHeld(disturbed: FakeJob, undisturbed: FakeJob): void {
  expect(heldOf(disturbed)).toEqual(heldOf(undisturbed));
}

/** Everything but what differs from run to run: times, ports, folders, and how often an upload was announced. */
function heldOf(job: FakeJob) {
  const { state, result, reason, modules, results, pictures, thumbnails, files, assets, clone } = job;
  const texts = [...files].map(([name, bytes]) => [name, heldText(name, bytes.toString("latin1"))] as const);
  const localOrBytes = [...assets].map(([name, { scope, bytes, localPath }]) => {
    return [name, { scope, bytes: bytes?.toString("latin1"), isLocal: localPath !== undefined }] as const;
  });
  return {
    ...{ state, result, reason, modules, isCloned: clone !== undefined },
    results: sorted(results),
    pictures: sorted([...pictures].map(([md5, bytes]) => [md5, bytes.toString("hex")])),
    thumbnails: sorted([...thumbnails].map(([md5, bytes]) => [md5, bytes.toString("hex")])),
    files: sorted(texts),
    assets: sorted(localOrBytes),
  };
}

function heldText(name: string, text: string): unknown {
  if (name === "vars.json")
    return JSON.parse(
      text.replace(/127\.0\.0\.1:\d+/g, "HOST:PORT").replace(/openqa-worker-test-\w+/g, "FOLDER"),
    );
  const lines = text.split("\n").map((line) => line.replace(/^\[\d{4}-[^\]]*\] /, ""));
  if (name === "autoinst-log.txt") return lines.filter((line) => !/Uploading |End time: /.test(line));
  // Its other lines are about what disturbed the job.
  if (name === "worker-log.txt")
    return ["Setting up job", "Stopping job"].map(
      (text) => lines.filter((line) => line.includes(text)).length,
    );
  return text;
}

function sorted<T>(entries: Iterable<readonly [string, T]>): Record<string, T> {
  return Object.fromEntries([...entries].sort(([a], [b]) => a.localeCompare(b)));
}

/** Protocol 8.1: everything before `set_done`, which comes last and takes effect once. */
export function expectOneEnd(ui: FakeWebUi, job: FakeJob): void {
  const requests = ui.requestsOf(job.id);
  const ends = requests.filter(({ path }) => path.endsWith("/set_done"));
  expect(ends.filter(({ answer }) => answer?.status === 200)).toHaveLength(1);
  expect(requests.findLastIndex(({ answer }) => answer !== undefined)).toBe(
    requests.lastIndexOf(ends.at(-1)!),
  );
}

/** Names of the modules whose results a status post has, as far as they are there. */
export function modulesIn({ path, json }: RecordedRequest): string[] {
  if (!path.endsWith("/status")) return [];
  const { status } = json as { status: { result?: Record<string, { details?: unknown }> } };
  return Object.entries(status.result ?? {}).flatMap(([name, { details }]) => (details ? [name] : []));
}
