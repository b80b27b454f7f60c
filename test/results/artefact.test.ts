import { expect, test } from "bun:test";
import { ApiError, UnreadablePartError } from "../../src/errors.ts";
import { isFurtherInVain } from "../../src/results/artefact.ts";
import { PoolFileError } from "../../src/results/pool-file.ts";

const cause = new UnreadablePartError("File has only 3 bytes, expected 7");

test.each([
  ["the server is away", new ApiError("Connection error: refused", undefined), true],
  ["it has too much to do", new ApiError("503 response: busy", 503), true],
  ["it has given the job up", new ApiError("404 response: No worker assigned", 404), true],
  ["it refuses this file", new ApiError("400 response: no", 400), false],
  ["this file became shorter", new ApiError("Connection error: cut", undefined, { cause }), false],
  ["this file is a trap", new PoolFileError("a link"), false],
])("%s: whether further uploads are in vain", (_, error, expected) => {
  expect(isFurtherInVain(error)).toBe(expected);
});
