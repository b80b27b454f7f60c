// Waiting for work that cannot be aborted itself, and letting work outlive an abort for a while.

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
