import { describe, expect, test } from "bun:test";
import { abortable, allEnded, outliving } from "../src/abortable.ts";

const never = new Promise<never>(() => {});

describe("work that cannot be aborted", () => {
  test("is waited for", async () => {
    expect(await abortable(Promise.resolve(7), new AbortController().signal)).toBe(7);
  });

  test("is left as soon as the signal is aborted, also when it was before", async () => {
    const controller = new AbortController();
    const waiting = abortable(never, controller.signal);
    controller.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(abortable(never, controller.signal)).rejects.toThrow("enough");
  });

  test("may fail afterwards without anybody noticing", async () => {
    const { promise, reject } = Promise.withResolvers<void>();
    await expect(abortable(promise, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
    reject(new Error("late"));
    await expect(promise).rejects.toThrow("late");
  });
});

test("of several works, none goes on when the first failure is told", async () => {
  const order: string[] = [];
  const slow = Bun.sleep(5).then(() => order.push("slow"));
  await expect(allEnded([Promise.reject(new Error("broken")), slow])).rejects.toThrow("broken");
  expect(order).toEqual(["slow"]);
  expect(await allEnded([1, Promise.resolve("two")])).toEqual([1, "two"]);
});

describe("work that outlives an abort", () => {
  test("may still come to its end", async () => {
    const controller = new AbortController();
    const { promise, resolve } = Promise.withResolvers<string>();
    const working = outliving(controller.signal, 60_000, () => promise);
    controller.abort(new Error("enough"));
    resolve("done");
    expect(await working).toBe("done");
  });

  test("is aborted for the same reason when the grace is over", async () => {
    const controller = new AbortController();
    const working = outliving(controller.signal, 1, (late) => abortable(never, late));
    controller.abort(new Error("enough"));
    await expect(working).rejects.toThrow("enough");
  });
});
