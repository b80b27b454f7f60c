import { afterEach, beforeEach, expect, test } from "bun:test";
import { CacheError, errorText } from "../../../src/errors.ts";
import { IndexSandbox } from "./index-sandbox.ts";

let sandbox: IndexSandbox;
beforeEach(async () => {
  sandbox = await IndexSandbox.make();
});
afterEach(() => sandbox[Symbol.asyncDispose]());

/** A thread with this program. */
const entry = (program: string) => `data:text/javascript,${encodeURIComponent(program)}`;

test.each([
  ["fails", "self.onmessage = () => { throw new Error('out of memory') }", /has failed: .*out of memory/s],
  ["ends by itself", "process.exit(0)", /has ended/],
  ["cannot be started", "import 'file:///none.js'", /has failed/],
])(
  "when the thread %s, calls under way fail with an error that names the index",
  async (_, program, text) => {
    const index = sandbox.index({ entry: entry(program) });
    const calls = [index.rows(sandbox.context), index.touch("/a", sandbox.context)];
    for (const call of await Promise.allSettled(calls)) {
      const error: unknown = call.status === "rejected" ? call.reason : undefined;
      expect(error).toBeInstanceOf(CacheError);
      expect(errorText(error)).toMatch(text);
      expect(errorText(error)).toContain(sandbox.folder.indexFile);
    }
  },
);

test("after a thread that failed the next call has another one", async () => {
  const program = `
    self.onmessage = ({ data }) => {
      if (data.kind === "close") process.exit();
      if (data.kind !== "call") return;
      if (data.call.kind === "touch") process.exit(1);
      self.postMessage({ kind: "done", id: data.id, rows: [] });
    }`;
  const index = sandbox.index({ entry: entry(program) });
  await expect(index.touch("/a", sandbox.context)).rejects.toThrow("has ended");
  expect(await index.rows(sandbox.context)).toEqual([]);
});
