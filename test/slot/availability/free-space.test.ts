import { describe, expect, test } from "bun:test";
import { findLackOfSpace, lackOfSpace } from "../../../src/slot/availability/free-space.ts";

const mib = 1024 * 1024;

describe("the file system of a pool (field lesson 27)", () => {
  test("with nearly nothing free is named, with what is free and what is needed", () => {
    expect(lackOfSpace("/pool/1", 64 * mib - 1)).toBe(
      "No space left on the device of /pool/1: 63 MiB free, at least 64 MiB are needed",
    );
    expect(lackOfSpace("/pool/1", 0)).toContain(": 0 MiB free");
  });

  test("with enough free is no reason", () => {
    expect(lackOfSpace("/pool/1", 64 * mib)).toBeUndefined();
  });

  test("without any room is full", async () => {
    expect(await findLackOfSpace("/proc")).toContain("No space left on the device of /proc");
  });

  test("that cannot be looked at is left to the other checks", async () => {
    expect(await findLackOfSpace("/dev/null/pool")).toBeUndefined();
  });
});
