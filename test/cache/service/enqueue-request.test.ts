import { describe, expect, test } from "bun:test";
import { parseEnqueued, workKey } from "../../../src/cache/service/enqueue-request.ts";

function enqueueAsset(...args: unknown[]) {
  return parseEnqueued(JSON.stringify({ task: "cache_asset", args, lock: "a lock" }));
}

function enqueueSync(...args: unknown[]) {
  return parseEnqueued(JSON.stringify({ task: "cache_tests", args, lock: "a lock" }));
}

describe("what is refused with the stock service's words", () => {
  const bodies: [unknown, string][] = [
    [{}, "No task defined"],
    [{ task: null, args: [] }, "No task defined"],
    [[], "No task defined"],
    ["text", "No task defined"],
    [{ task: "cache_asset" }, "No arguments defined"],
    [{ task: "cache_asset", args: null, lock: "x" }, "No arguments defined"],
    [{ task: "cache_asset", args: "x", lock: "x" }, "Arguments need to be an array"],
    [{ task: "cache_asset", args: { 0: "x" } }, "Arguments need to be an array"],
    [{ task: "cache_asset", args: [] }, "No lock defined"],
  ];
  for (const [body, refusal] of bodies)
    test(JSON.stringify(body), () => {
      expect(parseEnqueued(JSON.stringify(body))).toEqual({ refusal });
    });

  test("no JSON", () => {
    for (const body of ["", "{", "\0"]) expect(parseEnqueued(body)).toEqual({ refusal: "No task defined" });
  });
});

test("tasks that there are not are refused, as nobody would ever do them", () => {
  for (const task of ["cache_all", "", 1, ["cache_asset"], "toString"])
    expect(parseEnqueued(JSON.stringify({ task, args: [], lock: "x" }))).toEqual({
      refusal: "Unknown task, expected cache_asset or cache_tests",
    });
});

describe("an asset", () => {
  test("is taken with its job's id as number or text", () => {
    const asset = { type: "hdd", name: "a b+ü.qcow2", host: "https://openqa.example:8443" };
    for (const id of [31, "31"])
      expect(enqueueAsset(id, asset.type, asset.name, asset.host)).toEqual({
        task: "cache_asset",
        asset: { jobId: "31", ...asset },
      });
  });

  test("is taken for every form of HOST", () => {
    for (const host of [
      "localhost",
      "localhost:9526",
      "http://localhost",
      "http://localhost/",
      "https://[::1]:1",
    ])
      expect(enqueueAsset(1, "iso", "a.iso", host)).toMatchObject({ asset: { host } });
  });

  const longName = "ä".repeat(128);
  const bad: [string, unknown[]][] = [
    ["too few arguments", [1, "iso", "a.iso"]],
    ["too many", [1, "iso", "a.iso", "h", "x"]],
    ["an id that is none", ["1/../2", "iso", "a.iso", "h"]],
    ["a negative id", [-1, "iso", "a.iso", "h"]],
    ["a name with a slash", [1, "iso", "a/b", "h"]],
    ["a name that is the parent folder", [1, "iso", "..", "h"]],
    ["an empty name", [1, "iso", "", "h"]],
    ["a name with a NUL", [1, "iso", "a\0.iso", "h"]],
    ["a name of 256 bytes", [1, "iso", longName, "h"]],
    ["no text as name", [1, "iso", { toString: "x" }, "h"]],
    ["a type with a slash", [1, "../iso", "a.iso", "h"]],
    ["the parent folder as type", [1, "..", "a.iso", "h"]],
    ["a type that leads elsewhere on the web UI", [1, "..\\..\\api\\v1\\admin", "secrets", "h"]],
    ["an encoded parent folder as type", [1, "%2e%2e", "secrets", "h"]],
    ["a type with a query", [1, "iso?x=", "a.iso", "h"]],
    ["a name that forges a log line", [1, "iso", "a\n[error] forged", "h"]],
    ["the folder of the tests as name", [1, "iso", "tests", "h"]],
    ["a host with a path", [1, "iso", "a.iso", "http://h/etc"]],
    ["the parent folder as host", [1, "iso", "a.iso", ".."]],
    ["the parent folder as host of a URL", [1, "iso", "a.iso", "http://../"]],
    ["a path as host", [1, "iso", "a.iso", "/etc"]],
    ["a host with a NUL", [1, "iso", "a.iso", "h\0"]],
  ];
  for (const [what, args] of bad)
    test(`is refused: ${what}`, () => {
      expect(enqueueAsset(...args)).toEqual({
        refusal:
          "Invalid arguments of cache_asset, expected job id, type (iso, hdd, other, repo), name of a file and host, " +
          "without control characters",
      });
    });
});

describe("a sync", () => {
  test("is taken with source and target as they are", () => {
    expect(enqueueSync("--exclude '.git' rsync://host/tests", "/var/cache/host")).toEqual({
      task: "cache_tests",
      sync: { from: "--exclude '.git' rsync://host/tests", to: "/var/cache/host" },
    });
  });

  const bad: [string, unknown[]][] = [
    ["no target", ["rsync://host/tests"]],
    ["an empty source", ["", "/var/cache/host"]],
    ["a NUL", ["rsync://host/tests", "/var/cache/host\0"]],
    ["endless text", ["x".repeat(5000), "/var/cache/host"]],
    ["no text", [1, 2]],
  ];
  for (const [what, args] of bad)
    test(`is refused: ${what}`, () => {
      expect(enqueueSync(...args)).toEqual({
        refusal:
          "Invalid arguments of cache_tests, expected source and target of at most 4096 bytes, without control characters",
      });
    });
});

test("the same asset for two jobs is the same work; another type, name, host or task is not", () => {
  const works = [
    enqueueAsset(1, "iso", "a", "h"),
    enqueueAsset(1, "hdd", "a", "h"),
    enqueueAsset(1, "iso", "b", "h"),
    enqueueAsset(1, "iso", "a", "i"),
    enqueueSync("a", "h"),
    enqueueSync("a", "i"),
  ].flatMap((work) => ("refusal" in work ? [] : [workKey(work)]));
  expect(new Set(works).size).toBe(6);
  const other = enqueueAsset(2, "iso", "a", "h");
  expect("refusal" in other ? "" : workKey(other)).toBe(works[0]!);
});
