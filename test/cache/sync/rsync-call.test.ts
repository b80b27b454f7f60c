import { describe, expect, test } from "bun:test";
import { rsyncFlags } from "../../../src/cache/sync/rsync-call.ts";
import { CacheError } from "../../../src/errors.ts";

const hostDirectory = "/cache/host";
const flags = (source: string, options?: readonly string[]) =>
  rsyncFlags({ source, hostDirectory }, { timeoutMs: 1_800_000, options });

describe("the command line of rsync", () => {
  test("is the stock worker's", () => {
    expect(flags("rsync://host/tests")).toEqual([
      "-avHP",
      "--timeout",
      "1800",
      "rsync://host/tests/",
      "--delete",
      "/cache/host/tests/",
    ]);
  });

  test.each([
    ["--exclude '.git dir' rsync://host/tests", ["--exclude", ".git dir", "rsync://host/tests/"]],
    ["  -e 'ssh -p 22' \"host:/my tests\" ", ["-e", "ssh -p 22", "host:/my tests/"]],
    ["-z host:/$HOME/*", ["-z", "host:/$HOME/*/"]],
    ["/my tests", ["/my tests/"]],
    ["rsync://host/tests; touch evil", ["rsync://host/tests; touch evil/"]],
    ["host:/tests --exclude x", ["host:/tests --exclude x/"]],
    ["/it's", ["/it's/"]],
  ])("%p is taken apart only when it begins with an option", (source, words) => {
    expect(flags(source).slice(3, -2)).toEqual(words);
  });

  test("has options of the caller before those of the source", () => {
    expect(flags("--no-owner /tests", ["-n"]).slice(3, 6)).toEqual(["-n", "--no-owner", "/tests/"]);
  });

  test.each([
    ["--exclude '.git rsync://host/tests", "a quote without an end"],
    ["", "names no source"],
    ["-z", "names no source"],
    ["-z ''", "names no source"],
    ["--delete -x", "names no source"],
  ])("a source that is none is refused: %p", (source, why) => {
    expect(() => flags(source)).toThrow(CacheError);
    expect(() => flags(source)).toThrow(why);
  });

  test.each(["", "/", "host", "./host", "/cache/", "/cache/..", "/cache/.", "/cache/../etc", "/cache/./x"])(
    "a folder that is no host's is refused: %p",
    (path) => {
      const call = () => rsyncFlags({ source: "/tests", hostDirectory: path }, { timeoutMs: 1000 });
      expect(call).toThrow(CacheError);
      expect(call).toThrow(`"${path}"`);
    },
  );
});
