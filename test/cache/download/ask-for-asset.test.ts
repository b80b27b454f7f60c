import { expect, test } from "bun:test";
import { assetHeaders } from "../../../src/cache/download/ask-for-asset.ts";
import { requestHeaders } from "../../../src/webui/authentication.ts";

const credentials = { key: "KEY", secret: "SECRET" };
const question = {
  url: new URL("https://openqa.example/tests/1/asset/iso/a%20b.iso"),
  credentials,
  conditions: { "If-None-Match": '"v1"' },
};
const nowMs = 1_700_000_000_000;

test.each([
  ["https://openqa.example/tests/1/asset/iso/a%20b.iso", "/tests/1/asset/iso/a%20b.iso"],
  ["https://openqa.example/assets/iso/a%20b.iso?x=1", "/assets/iso/a%20b.iso?x=1"],
])("%s is signed with its own path and query", (url, signed) => {
  const headers = assetHeaders(new URL(url), question, nowMs);
  const expected = requestHeaders(signed, credentials, nowMs);
  expect(headers).toEqual({
    ...expected,
    Accept: "*/*",
    "Accept-Encoding": "identity",
    "If-None-Match": '"v1"',
  });
});

test("who is sent on to https of the same host still signs", () => {
  const question = { url: new URL("http://openqa.example/a"), credentials, conditions: {} };
  expect(assetHeaders(new URL("https://openqa.example/a"), question, nowMs)).toHaveProperty(
    "X-API-Key",
    "KEY",
  );
});

test.each([
  "https://mirror.example/assets/iso/a%20b.iso",
  "https://openqa.example:8080/assets/iso/a%20b.iso",
  "http://openqa.example/assets/iso/a%20b.iso",
  "https://openqa.example.evil.example/",
  "https://openqa.example@evil.example/",
])("key and signature do not go to %s, the conditions do", (url) => {
  const headers = assetHeaders(new URL(url), question, nowMs);
  expect(headers).toMatchObject({ "Accept-Encoding": "identity", "If-None-Match": '"v1"' });
  expect(JSON.stringify(headers)).not.toContain("KEY");
  expect(Object.keys(headers)).not.toContain("X-API-Hash");
});

test("without credentials nothing is signed", () => {
  const headers = assetHeaders(question.url, { ...question, credentials: undefined }, nowMs);
  expect(Object.keys(headers)).not.toContainAnyValues(["X-API-Key", "X-API-Hash"]);
});
