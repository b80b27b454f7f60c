import { describe, expect, test } from "bun:test";
import {
  conditionsOf,
  meaningOf,
  type Plan,
  planRequest,
  type ResumablePartial,
} from "../../../src/cache/download/resume.ts";

const half: ResumablePartial = { etag: '"new"', totalBytes: 100, sizeBytes: 50 };
const full: ResumablePartial = { ...half, sizeBytes: 100 };

const rangeOfHalf = { Range: "bytes=50-", "If-Range": '"new"' };

test.each<[string, string | undefined, ResumablePartial | undefined, Record<string, string>]>([
  ["nothing is there", undefined, undefined, {}],
  ["there is a copy", '"old"', undefined, { "If-None-Match": '"old"' }],
  ["a part is there", undefined, half, rangeOfHalf],
  [
    "a part and a copy: the part may be of the current version or the copy",
    '"old"',
    half,
    { "If-None-Match": '"old"', ...rangeOfHalf },
  ],
  ["the part is of the version that the copy is", '"new"', half, { "If-None-Match": '"new"' }],
  [
    "all of it is there: no range, which would not be satisfiable",
    undefined,
    full,
    { "If-None-Match": '"new"' },
  ],
  [
    "all of a version and a copy of another: only one of them is asked for",
    '"old"',
    full,
    { "If-None-Match": '"new"' },
  ],
])("asked for when %s", (_, copyEtag, partial, conditions) => {
  expect(conditionsOf(planRequest(copyEtag, partial))).toEqual(conditions);
});

const plain: Plan = { kind: "whole", unlessEtag: undefined };
const revalidating: Plan = { kind: "whole", unlessEtag: '"old"' };
const resuming: Plan = { kind: "rest", partial: half, unlessEtag: undefined };
const checking: Plan = { kind: "check", partial: full };
const fitting = { ETag: '"new"', "Content-Range": "bytes 50-99/100", "Content-Length": "50" };
const wholeFile = { ETag: '"x"', "Content-Length": "7" };

describe("an answer means", () => {
  const kinds: [string, Plan, number, Record<string, string>][] = [
    ["whole", plain, 200, wholeFile],
    ["whole", revalidating, 200, wholeFile],
    ["whole", resuming, 200, wholeFile],
    ["whole", checking, 200, wholeFile],
    ["whole", plain, 200, { "Transfer-Encoding": "chunked" }],
    ["whole", plain, 200, { ...wholeFile, "Content-Encoding": "identity" }],
    ["unusable", plain, 200, {}],
    ["unusable", plain, 200, { ...wholeFile, "Content-Encoding": "gzip" }],
    ["unusable", plain, 200, { ...wholeFile, "Content-Type": "text/html;charset=utf-8" }],
    ["unusable", resuming, 206, { ...fitting, "Content-Type": "text/html" }],
    ["unchanged", revalidating, 304, {}],
    ["unchanged", { ...resuming, unlessEtag: '"old"' }, 304, {}],
    ["complete", checking, 304, {}],
    ["try again", plain, 304, {}],
    ["try again", resuming, 304, {}],
    ["rest", resuming, 206, fitting],
    ["rest", resuming, 206, { ...fitting, "Content-Length": "" }],
    ["start over", resuming, 206, { ...fitting, ETag: '"newer"' }],
    ["start over", resuming, 206, { ...fitting, ETag: 'W/"new"' }],
    ["start over", resuming, 206, { ...fitting, ETag: "" }],
    ["start over", resuming, 206, { ...fitting, "Content-Range": "bytes 49-99/100" }],
    ["start over", resuming, 206, { ...fitting, "Content-Range": "bytes 50-99/101" }],
    ["start over", resuming, 206, { ...fitting, "Content-Range": "bytes 50-98/100" }],
    ["start over", resuming, 206, { ...fitting, "Content-Range": "bytes 50-99/*" }],
    ["start over", resuming, 206, { ...fitting, "Content-Range": "" }],
    ["start over", resuming, 206, { ...fitting, "Content-Length": "49" }],
    ["start over", resuming, 416, { "Content-Range": "bytes */50" }],
    ["try again", plain, 206, fitting],
    ["try again", checking, 206, fitting],
    ["try again", plain, 204, {}],
    ["refused", plain, 400, {}],
    ["refused", resuming, 403, {}],
    ["refused", checking, 404, {}],
    ["refused", plain, 416, {}],
    ["try again", plain, 408, {}],
    ["try again", plain, 425, {}],
    ["try again", plain, 429, {}],
    ["try again", plain, 490, {}],
    ["try again", resuming, 500, {}],
    ["try again", plain, 503, {}],
    ["unusable", plain, 300, {}],
  ];
  test.each(kinds)("%s: %j %i %j", (kind, plan, status, headers) => {
    expect(meaningOf(plan, { status, headers: new Headers(headers) }, false).kind).toBe(kind as never);
  });

  test("an HTML page where the file's name says so", () => {
    const headers = new Headers({ ...wholeFile, "Content-Type": "text/html" });
    expect(meaningOf(plain, { status: 200, headers }, true)).toEqual({
      kind: "whole",
      etag: '"x"',
      totalBytes: 7,
    });
  });

  test.each([
    ["7", 7000],
    ["", undefined],
    ["Fri, 31 Dec 1999 23:59:59 GMT", undefined],
  ])("a wait when it says Retry-After: %s", (text, retryAfterMs) => {
    const headers = new Headers({ "Retry-After": text });
    const meaning = meaningOf(plain, { status: 503, headers }, false);
    expect(meaning).toEqual({ kind: "try again", why: "503 Service Unavailable", retryAfterMs });
  });
});
