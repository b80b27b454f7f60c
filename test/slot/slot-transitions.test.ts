// What a slot does at every event in every state. The pairs are generated; what is expected is written by hand.
import { expect, test } from "bun:test";
import { furtherEvents, PlayedSlot, type SlotState, slotEvents, slotStates } from "./slot-in-state.ts";

/** What happens, and in which states. */
type Row = readonly (readonly [string, readonly SlotState[]])[];

const onItsWay = ["accepting", "setup", "running"] as const;
const withQueue = ["running, one pending", "ended, one pending"] as const;
const atWork = ["setup", "running", "ending", "ended", ...withQueue, "running, draining"] as const;
const withoutJob = ["idle", "undelivered"] as const;
const withJob = ["accepting", ...atWork] as const;
const everywhere = [...withoutJob, ...withJob];

/** The next job begins when the one that is told has left the slot: until then nothing is said about it. */
const silently = "-";
const nothing: Row = [[silently, everywhere]];
const stopping = "currently stopping";
const waiting = "results of job 9 still wait for delivery";

function offered(ids: string, first: string): Row {
  return [
    [`a: accepted ${first}; works on ${first}`, ["idle"]],
    [`a: rejected ${ids} (already busy with job(s) 1)`, onItsWay],
    [`a: rejected ${ids} (already busy with job(s) 1, 2)`, withQueue],
    [`a: rejected ${ids} (${stopping})`, ["ending", "running, draining"]],
    [silently, ["ended"]],
    [`a: rejected ${ids} (${waiting})`, ["undelivered"]],
  ];
}

/** A job that has not begun is stopped when its turn to be accepted comes. */
function stopped(command: string): Row {
  return [
    [`stops 1: ${command}`, atWork],
    [silently, ["accepting", ...withoutJob]],
  ];
}

const expected: Readonly<Record<string, Row>> = {
  "grab_job 1": [
    ["a: accepted 1; works on 1", ["idle"]],
    [silently, [...onItsWay, "running, draining", "running, one pending"]],
    [`a: rejected 1 (${stopping})`, ["ending", "ended", "ended, one pending"]],
    [`a: rejected 1 (${waiting})`, ["undelivered"]],
  ],
  "grab_job 3": offered("3", "3"),
  "grab_job 3 of b": [
    ["b: accepted 3; works on 3", withoutJob],
    ["b: rejected 3 (already busy with a job from a)", [...onItsWay, ...withQueue]],
    [`b: rejected 3 (${stopping})`, ["ending", "running, draining"]],
    [silently, ["ended"]],
  ],
  "grab_jobs 1, 2": [
    ["a: accepted 1; works on 1", ["idle"]],
    ["a: rejected 1, 2 (already busy with job(s) 1)", onItsWay],
    [`a: rejected 1, 2 (${stopping})`, ["ending", "running, draining"]],
    [silently, ["ended", ...withQueue]],
    [`a: rejected 1, 2 (${waiting})`, ["undelivered"]],
  ],
  "grab_jobs 3, 4": offered("3, 4", "3"),
  "grab_job without settings": [
    ["a: rejected 3 (the provided job is invalid: it has no settings)", everywhere],
  ],
  "cancel 1": stopped("cancel"),
  "obsolete 1": stopped("obsolete"),
  "abort 1": stopped("abort"),
  "quit 1": stopped("quit"),
  // Of a pending job they are remembered until its turn; elsewhere they are none of the slot's.
  "cancel 2": nothing,
  "obsolete 2": nothing,
  "abort 2": nothing,
  "quit 2": nothing,
  "cancel 1 of b": nothing,
  "livelog_start 1": [
    ["first viewer came", atWork],
    [silently, ["accepting", ...withoutJob]],
  ],
  "livelog_stop 1": nothing,
  "developer_session_start 1": [
    ["developer came", atWork],
    [silently, ["accepting", ...withoutJob]],
  ],
  "livelog_start 2": nothing,
  "livelog_stop 2": nothing,
  "developer_session_start 2": nothing,
  info: nothing,
  unknown: nothing,
  incompatible: [
    ["over", withoutJob],
    ["stops 1: quit", atWork],
    [silently, ["accepting"]],
  ],
  TERM: [
    ["over", withoutJob],
    ["stops 1: quit", atWork],
    [silently, ["accepting"]],
  ],
  HUP: [
    ["over", withoutJob],
    [silently, withJob],
  ],
  "websocket lost": nothing,
  "websocket back": nothing,
  "a disabled": nothing,
  "both disabled": [
    ["over", withoutJob],
    [silently, withJob],
  ],
  "status due": [
    ["free", ["idle"]],
    ["working 1", [...onItsWay, "ending", "ended", "running, draining"]],
    ["working 1 pending 2", withQueue],
    ["working 9", ["undelivered"]],
  ],
  "registration due": [
    ["names none", ["idle"]],
    ["names 1", [...onItsWay, "ending", "ended", "running, draining"]],
    ["names 1, 2", withQueue],
    ["names 9", ["undelivered"]],
  ],
  "job passed": [
    ["a: accepted 2; works on 2", withQueue],
    ["over", ["running, draining"]],
    [silently, [...withoutJob, ...onItsWay, "ending", "ended"]],
  ],
  "job failed": [
    ["2 is skipped", withQueue],
    ["over", ["running, draining"]],
    [silently, [...withoutJob, ...onItsWay, "ending", "ended"]],
  ],
  // What the slot does not name any more in the registration that follows, the server schedules again.
  "job spooled": lostOrSpooled(),
  "job lost": lostOrSpooled(),
};

function lostOrSpooled(): Row {
  return [
    ["reconnects to a", ["setup", "running", "ending", "ended", ...withQueue]],
    ["over", ["running, draining"]],
    [silently, ["accepting", ...withoutJob]],
  ];
}

function outcomeOf(event: string, state: SlotState): string {
  const outcomes = (expected[event] ?? []).flatMap(([text, states]) => (states.includes(state) ? text : []));
  if (outcomes.length !== 1) throw new Error(`"${event}" while "${state}" has ${outcomes.length} outcomes`);
  return outcomes[0] ?? "";
}

const pairs = Object.keys(slotEvents).flatMap((event) => slotStates.map((state) => [event, state] as const));

test.each(pairs)("%s while %s", async (event, state) => {
  const wanted = outcomeOf(event, state);
  await using slot = await PlayedSlot.in(state);
  const fire = slotEvents[event];
  if (!fire) throw new Error(`no event "${event}"`);
  expect(await slot.at(fire)).toBe(wanted);
});

test("nothing is expected of events that there are not", () => {
  expect(Object.keys(expected).filter((event) => !(event in slotEvents))).toEqual([]);
});

/** Events one after the other, and what the last one entails. */
const sequences: readonly (readonly [SlotState, readonly string[], string])[] = [
  ["running, one pending", ["cancel 2", "job passed"], "2 is skipped"],
  ["running, one pending", ["obsolete 2", "job passed"], "2 is skipped (obsolete)"],
  [
    "running, one pending",
    ["quit 2", "job passed"],
    "2 is skipped (quit: worker has been stopped or restarted)",
  ],
  ["running, one pending", ["cancel 2", "quit 2", "job passed"], "2 is skipped"],
  [
    "running, one pending",
    ["TERM", "job failed"],
    "2 is skipped (quit: worker has been stopped or restarted); over",
  ],
  ["running, one pending", ["HUP", "job passed"], "a: accepted 2; works on 2"],
  [
    "running, one pending",
    ["incompatible", "job failed"],
    "2 is skipped (quit: worker has been stopped or restarted); over",
  ],
  ["running, one pending", ["cancel 1", "job failed"], "2 is skipped"],
  ["running", ["both disabled", "job passed"], "over"],
  ["running", ["cancel 1", "quit 1"], "-"],
  ["running", ["livelog_start 1", "livelog_start 1"], "-"],
  ["running", ["livelog_start 1", "livelog_start 1", "livelog_stop 1"], "-"],
  ["running", ["livelog_start 1", "livelog_stop 1"], "last viewer left"],
  ["ended", ["grab_job 3", "job passed"], "a: accepted 3; works on 3"],
  // Whether the server has the end of job 1 is not known yet: not named, it would be ended and cloned.
  ["ended", ["grab_job 3 of b", "registration due"], "names 1"],
  ["ended", ["grab_job 3", "registration due"], "names 1, 3"],
  ["ended", ["grab_job 3", "job passed", "registration due"], "names 3"],
  ["idle", ["job of an earlier start"], "works on 8"],
  ["idle", ["job of an earlier start", "registration due"], "names 8"],
  ["idle", ["TERM", "job of an earlier start"], "-"],
  ["ended", ["grab_job 3", "grab_job 1"], "a: rejected 1 (already busy with job(s) 3)"],
  // The server would keep the slot for a job that it has stopped until it has its end.
  ["ended", ["grab_job 3", "cancel 3", "job passed"], "3 is skipped"],
  ["accepting", ["cancel 1", "availability is known"], "1 is skipped"],
  ["accepting", ["abort 1", "cancel 1", "availability is known"], "1 is skipped (abort)"],
  ["accepting", ["quit 1", "availability is known"], "-"],
  ["accepting", ["TERM", "availability is known"], "over"],
  ["accepting", ["HUP", "availability is known"], "a: accepted 1; works on 1"],
  ["accepting", ["livelog_start 1", "availability is known"], "a: accepted 1; works on 1, with a viewer"],
];

test.each(sequences)("while %s: %p", async (state, events, wanted) => {
  await using slot = await PlayedSlot.in(state);
  let done = "";
  for (const event of events) {
    const fire = { ...slotEvents, ...furtherEvents }[event];
    if (!fire) throw new Error(`no event "${event}"`);
    done = await slot.at(fire);
  }
  expect(done).toBe(wanted);
});
