import { expect, test } from "bun:test";
import { ApiError } from "../../src/errors.ts";
import { connectionError, refusal, verdictOf } from "../../src/webui/retry.ts";
import { retryTable } from "./retry-table.ts";

test.each([...retryTable])("%p is %s (field lesson 22)", (result, verdict) => {
  expect(verdictOf(result)).toBe(verdict);
  if (typeof result === "number") expect(new ApiError("", result).isFinal).toBe(verdict === "final");
});

test.each([
  [400, "Bad Request", { error: "Got status update", error_status: 400 }, "400 response: Got status update"],
  [426, "Upgrade", { error: "Incompatible version.\n" }, "426 response: Incompatible version."],
  [404, "Not Found", { error_status: 404 }, "404 response: Not Found"],
  [502, "Bad Gateway", "<html>", "502 response: Bad Gateway"],
  [503, "", "", "503 response: Service Unavailable"],
  [500, "Oops", { error: { no: "text" } }, "500 response: Oops"],
  [598, "", null, "598 response: unknown"],
])("refusal %d %s", (status, phrase, body, text) => {
  expect(refusal(status, phrase, body)).toMatchObject({ message: text, status });
});

test("texts of any length are cut", () => {
  expect(refusal(500, "", { error: "x".repeat(5000) }).message.length).toBeLessThan(1100);
});

test("a try without an answer is named by its cause", () => {
  const refused = Object.assign(new Error("Is the computer able"), { code: "ECONNREFUSED" });
  expect(connectionError(refused)).toMatchObject({
    message: "Connection error: Connection refused",
    cause: refused,
  });
  expect(connectionError(new Error("odd")).message).toBe("Connection error: odd");
});
