import { expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import { isSameHost, pathQuery, redirectTarget, requestHeaders } from "../../src/webui/authentication.ts";

test("queries are form encoded, with spaces as + and lists repeated", () => {
  const query = { a: "x y+z", b: "ä&=", job_id: ["1", "2"], none: [] };
  expect(pathQuery("/api/v1/workers", query)).toBe(
    "/api/v1/workers?a=x+y%2Bz&b=%C3%A4%26%3D&job_id=1&job_id=2",
  );
  expect(pathQuery("/api/v1/workers")).toBe("/api/v1/workers");
});

test("the hash is over path, query and whole seconds", () => {
  const headers = requestHeaders("/p?a=b+c", { key: "K", secret: "S" }, 1_700_000_000_999);
  const hash = createHmac("sha1", "S").update("/p?a=b+c1700000000").digest("hex");
  expect(headers).toEqual({
    Accept: "application/json",
    "X-API-Microtime": "1700000000",
    "X-API-Key": "K",
    "X-API-Hash": hash,
  });
});

test("without credentials only the time goes out (field lesson 34)", () => {
  expect(Object.keys(requestHeaders("/p", undefined, 0))).toEqual(["Accept", "X-API-Microtime"]);
});

const from = new URL("http://ui/api/v1/x");
test.each([
  [302, "http://other:81/y", "http://other:81/y"],
  [308, "/y", "http://ui/y"],
  [307, "https://ui/", "https://ui/"],
  [302, "file:///etc/passwd", undefined],
  [302, "http://", undefined],
  [302, null, undefined],
  [200, "http://other/", undefined],
  [304, "http://other/", undefined],
])("answer %d with Location %p leads to %p", (status, location, target) => {
  expect(redirectTarget(status, location, from)?.href).toBe(target);
});

test.each([
  ["http://ui", "https://ui:444", true],
  ["http://ui", "http://evil", false],
  ["http://ui", "http://localhost", false],
  ["http://127.0.0.1:9526", "http://localhost:9527", true],
  ["http://[::1]:80", "http://localhost:9527", true],
])("%s and %s are the same host: %p", (one, other, same) => {
  expect(isSameHost(new URL(one), new URL(other))).toBe(same);
});
