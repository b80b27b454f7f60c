import { describe, expect, test } from "bun:test";
import { cacheHostName } from "../../src/cache/host-name.ts";
import { CacheError } from "../../src/errors.ts";

describe("the folder of a host", () => {
  // As Mojo::URL->new(ENTRY)->host || ENTRY gives it.
  test.each([
    ["localhost", "localhost"],
    ["openqa.example.org", "openqa.example.org"],
    ["host:8080", "host:8080"],
    ["127.0.0.1:80", "127.0.0.1:80"],
    ["::1", "::1"],
    ["[::1]:80", "[::1]:80"],
    ["user@host", "user@host"],
    ["0", "0"],
    ["http://localhost", "localhost"],
    ["http://127.0.0.1:8000", "127.0.0.1"],
    ["http://[::1]:9526", "[::1]"],
    ["https://openqa.example.org/", "openqa.example.org"],
    ["https://user:password@openqa.example.org/path", "openqa.example.org"],
    ["http://user@other@host:1", "other@host"],
    ["http://host:1:2", "host:1"],
    ["http://host:", "host:"],
    ["http://host.", "host."],
    ["http://host?x", "host"],
    ["HTTPS://OpenQA.Example", "OpenQA.Example"],
    ["//host/x", "host"],
  ])("%p has the name %p", (entry, name) => {
    expect(cacheHostName(entry)).toBe(name);
  });

  test.each([
    "",
    ".",
    "..",
    ".openqa-worker",
    "http://..",
    "http://.",
    "http://",
    "http:/host",
    "host/path",
    "file:///x",
    "a\0b",
  ])("an entry that names none is refused: %p", (entry) => {
    expect(() => cacheHostName(entry)).toThrow(CacheError);
    expect(() => cacheHostName(entry)).toThrow(`"${entry}"`);
  });
});
