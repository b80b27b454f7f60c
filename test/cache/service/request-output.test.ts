import { expect, test } from "bun:test";
import { maxOutputLength, RequestOutput } from "../../../src/cache/service/request-output.ts";
import { Logger } from "../../../src/ops/log.ts";

test("lines have the stock service's form, and those for developers are left out", () => {
  const output = new RequestOutput(7);
  const log = new Logger([output.sink]);
  log.debug("hidden");
  log.info("one");
  log.warn("two\nthree");
  log.error("four");
  expect(output.text).toBe("[info] [#7] one\n[warn] [#7] two\nthree\n[error] [#7] four\n");
});

test("of what is too long the beginning and the end stay", () => {
  const output = new RequestOutput(7);
  const log = new Logger([output.sink]);
  log.info("the beginning");
  for (let line = 0; line < 50; line++) log.info(`${line} ${"x".repeat(100_000)}`);
  log.info("the end");
  const { text } = output;
  expect(text).toHaveLength(maxOutputLength);
  expect(text).toStartWith("[info] [#7] the beginning\n[info] [#7] 0 xxx");
  expect(text).toContain("\n[...]\n");
  expect(text).toEndWith("x\n[info] [#7] the end\n");
});

test("one endless line is cut, too", () => {
  const output = new RequestOutput(7);
  new Logger([output.sink]).info("x".repeat(5 * maxOutputLength));
  expect(output.text).toHaveLength(maxOutputLength);
});
