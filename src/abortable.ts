// Waiting for work that cannot be aborted itself, letting work outlive an abort for a while, and doing several things
// of which each needs the others.
import type { Context } from "./context.ts";

/** The promise, or the signal's reason as soon as that is aborted: then what the promise comes to does not matter. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  if (signal.aborted) abort();
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** As `Promise.all`, but settles when all of them have: nothing goes on afterwards. */
export async function allEnded<const T extends readonly unknown[]>(
  works: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  await Promise.allSettled(works);
  return await Promise.all(works);
}

/** Does work whose signal is aborted for the same reason as another one, but `graceMs` later. */
export async function outliving<T>(
  signal: AbortSignal,
  graceMs: number,
  work: (late: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const startGrace = () => {
    timer = setTimeout(() => late.abort(signal.reason), graceMs);
  };
  signal.addEventListener("abort", startGrace, { once: true });
  if (signal.aborted) startGrace();
  try {
    return await work(late.signal);
  } finally {
    signal.removeEventListener("abort", startGrace);
    clearTimeout(timer);
  }
}

type Results<T> = { -readonly [K in keyof T]: T[K] extends (inner: Context) => Promise<infer R> ? R : never };

/**
 * Does all of it side by side; the first failure aborts the rest with that error. When several have failed by
 * themselves, the error of the one that comes first in the list is thrown. Nothing goes on afterwards.
 */
export async function allOrFail<const T extends readonly ((inner: Context) => Promise<unknown>)[]>(
  works: T,
  context: Context,
): Promise<Results<T>> {
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const settled = await Promise.allSettled(
    works.map(async (work) => {
      try {
        return await work({ ...context, signal });
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    }),
  );
  const results = settled.map((each) => {
    if (each.status === "rejected") throw each.reason;
    return each.value;
  });
  // As many and in the order of `works`, which `map` keeps but does not say.
  return results as Results<T>;
}
