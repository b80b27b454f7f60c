// The retry table of protocol 2.3, written down apart from the implementation. 429 is no refusal, unlike there.
import type { TryResult, Verdict } from "../../src/webui/retry.ts";

export const retryTable: readonly [TryResult, Verdict][] = [
  [200, "answered"],
  [201, "answered"],
  [204, "answered"],
  [400, "final"],
  [401, "final"],
  [403, "final"],
  [404, "final"],
  [426, "final"],
  [408, "busy"],
  [425, "busy"],
  [429, "busy"],
  [490, "retry"],
  [500, "retry"],
  [501, "retry"],
  [505, "retry"],
  [599, "retry"],
  [502, "busy"],
  [503, "busy"],
  [504, "busy"],
  [598, "busy"],
  [304, "retry"],
  ["time-out", "busy"],
  ["connection error", "retry"],
];
