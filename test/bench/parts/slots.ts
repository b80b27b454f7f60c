// Many slots in one process, with a stand-in for the web UI: a job in each, with a supervisor and a process tree of its
// own, and all end within the same seconds. What that costs the worker, whether that is linear, and whether anything
// gets lost.
import type { BenchOptions, BenchPart, Measurement } from "../bench-part.ts";
import { type Crowd, endsWithinS, runCrowd } from "../crowd.ts";
import { ownSide } from "../statistics.ts";

/** The most slots, and those that their cost is compared with. */
const most = 200;
const compared = 50;
const others = [25, 100];
const maxRounds = 3;
/** Cost per slot: linear, and some noise. */
const linear = 1.2;

export const part: BenchPart = {
  name: "slots",
  title: `${most} slots in one process (${compared} and ${most} slots at most ${maxRounds} times, ${others.join(" and ")} once)`,
  minutes: 4,
  async measure({ rounds, note }: BenchOptions): Promise<readonly Measurement[]> {
    const crowds = new Map<number, Crowd[]>(
      [...others, compared, most].sort((a, b) => a - b).map((slots) => [slots, []]),
    );
    for (let round = 1; round <= Math.min(rounds, maxRounds); round++) {
      for (const [slots, found] of crowds) {
        if (round > 1 && others.includes(slots)) continue;
        note(`${slots} slots, round ${round} of ${Math.min(rounds, maxRounds)}`);
        found.push(await runCrowd(slots));
      }
    }
    return measurementsOf(crowds);
  },
};

function measurementsOf(crowds: ReadonlyMap<number, readonly Crowd[]>): Measurement[] {
  const sides = (figure: (one: Crowd) => number, nameOfMost = `${most} slots`) =>
    Object.fromEntries(
      [...crowds].map(([slots, found]) => [
        slots === most ? nameOfMost : `${slots} slots`,
        found.map(figure),
      ]),
    );
  const aim = { ratio: linear, to: `${compared} slots` };
  return [
    {
      name: "CPU a job",
      unit: "ms",
      sides: sides(({ cpuMs, slots }) => cpuMs / slots, ownSide),
      aim,
      remark: `of the worker's own process, supervisors not included; "${ownSide}" stands for ${most} slots`,
    },
    {
      name: "memory a slot with a job",
      unit: "MB",
      sides: sides(({ sideMb, slots }) => sideMb / slots, ownSide),
      aim,
      remark: "PSS of worker and supervisors while all jobs ran, divided by the slots",
    },
    { name: "memory of the worker at most", unit: "MB", sides: sides(({ peakMb }) => peakMb) },
    { name: "all slots registered", unit: "s", sides: sides(({ registeredS }) => registeredS) },
    {
      name: "first job done until last job done",
      unit: "s",
      sides: sides(({ doneSpanS }) => doneSpanS),
      remark: `the jobs end within ${endsWithinS} s; each passed with all its files and left no process`,
    },
    ...(["median", "p99", "max"] as const).map(
      (which): Measurement => ({
        name: `event loop late, ${which}`,
        unit: "ms",
        sides: sides(({ lag }) => lag[which]),
      }),
    ),
  ];
}
