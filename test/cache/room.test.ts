import { expect, test } from "bun:test";
import { excessBytes } from "../../src/cache/room.ts";

const gib = 1024 ** 3;
const space = (freeGib: number) => ({ freeBytes: freeGib * gib, totalBytes: 100 * gib });
const limits = (limitGib: number, minFreePercentage?: number) => ({ limitGib, minFreePercentage });

test.each([
  ["within the limit", 5, 40, space(50), limits(50), 0],
  ["just at the limit", 10, 40, space(50), limits(50), 0],
  ["above the limit", 15, 40, space(50), limits(50), 5],
  ["without a limit", 15, 400, space(50), limits(0), 0],
  ["on a disk that is too full", 15, 0, space(10), limits(0), 5],
  ["with as much free as shall be", 10, 0, space(30), limits(0, 20), 0],
  ["with less free than shall be", 15, 0, space(30), limits(0, 20), 5],
  ["when limit and disk say different things", 15, 40, space(12), limits(50), 5],
  ["when what is promised to others is more than is free", 0, 0, space(-3), limits(0), 3],
])("%s", (_, needed, used, disk, settings, excess) => {
  expect(excessBytes(needed * gib, used * gib, disk, settings)).toBe(excess * gib);
});
