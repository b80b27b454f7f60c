import { describe, expect, test } from "bun:test";
import { JobQueue } from "../../src/slot/job-queue.ts";
import { parseServerMessage } from "../../src/webui/messages.ts";

type Nested = readonly (number | Nested)[];

function queueOf(sequence: Nested): JobQueue {
  const ids = [...new Set(JSON.stringify(sequence).match(/\d+/g))];
  const data = Object.fromEntries(ids.map((id) => [id, { id: Number(id), settings: {} }]));
  const text = JSON.stringify({ type: "grab_jobs", job_info: { ids, data, sequence } });
  const message = parseServerMessage(text, { maxJobMessageBytes: 1e6 });
  if (message.kind !== "grab_jobs") throw new Error(JSON.stringify(message));
  return new JobQueue(message.jobs, message.sequence);
}

/** What becomes of each job, in order, when these ones fail and all others pass that may run. */
function outcomes(sequence: Nested, failing: readonly number[]): string {
  const queue = queueOf(sequence);
  const told: string[] = [];
  for (let turn = queue.next(); turn; turn = queue.next()) {
    const { job, hasFailedParent } = turn;
    if (!hasFailedParent && !failing.includes(Number(job.id))) queue.notePassed(job.id);
    told.push(`${hasFailedParent ? "-" : ""}${job.id}`);
  }
  return told.join(" ");
}

const big = [0, [1, [2, 3], [4, 5]], 6, 7, [8, 9, [10, 11]], 12];

const cases: readonly (readonly [string, Nested, readonly number[], string])[] = [
  ["one job", [3], [], "3"],
  ["depth first", big, [], "0 1 2 3 4 5 6 7 8 9 10 11 12"],
  ["a failed parent skips its sub-queue only", big, [1], "0 1 -2 -3 -4 -5 6 7 8 9 10 11 12"],
  ["a failed root skips all", big, [0], "0 -1 -2 -3 -4 -5 -6 -7 -8 -9 -10 -11 -12"],
  ["a failed leaf skips nobody", big, [3, 9], "0 1 2 3 4 5 6 7 8 9 10 11 12"],
  ["a chain", [0, [1, [2, 3]]], [1], "0 1 -2 -3"],
  ["leaves of one parent are not skipped for each other", [0, 1, 2], [1], "0 1 2"],
  [
    "jobs after a sub-queue depend on the head of their list",
    [0, [1, 2, [3, 4], 5], 6],
    [3],
    "0 1 2 3 -4 5 6",
  ],
  ["a list that starts with a list has no parent", [[1, 2], 3], [1], "1 -2 3"],
  ["a job that comes twice runs once", [0, 1, [1, 2]], [], "0 1 2"],
];

describe("a queue", () => {
  test.each(cases)("%s", (_, sequence, failing, expected) => {
    expect(outcomes(sequence, failing)).toBe(expected);
  });

  test("names the jobs that have not had their turn", () => {
    const queue = queueOf([0, [1, 2]]);
    expect(queue.pendingIds).toEqual(["0", "1", "2"]);
    queue.next();
    expect(queue.pendingIds).toEqual(["1", "2"]);
  });

  test("keeps what was said about a pending job until its turn, the first word counts", () => {
    const queue = queueOf([0, 1]);
    queue.stop("1", "cancel");
    queue.stop("1", "quit");
    expect(queue.next()?.stopped).toBeUndefined();
    expect(queue.next()?.stopped).toBe("cancel");
    expect(queue.next()).toBeUndefined();
  });
});
