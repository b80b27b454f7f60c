// How long a job may take (protocol 4, 7): MAX_SETUP_TIME and MAX_JOB_TIME, and what enforces them.
import type { Settings } from "../config/settings.ts";
import type { Context } from "../context.ts";
import type { Job } from "./job.ts";
import { JobStop } from "./job-stop.ts";

const defaultSetupTimeS = 3600;
const defaultJobTimeS = 7200;

/** The longest wait that a timer takes; longer ones fire at once. */
const maxTimerMs = 2 ** 31 - 1;

/** MAX_SETUP_TIME of a job that has not been set up; TIMEOUT_SCALE does not apply. */
export function setupTimeLimitMs(job: Job, settings: Settings): number {
  const name = "MAX_SETUP_TIME";
  const seconds = numberIn(settings.jobSettings[name] ?? job.settings[name]) ?? defaultSetupTimeS;
  return Math.max(0, seconds * 1000);
}

/** MAX_JOB_TIME × TIMEOUT_SCALE. */
export function jobTimeLimitMs(jobSettings: Readonly<Record<string, string>>): number {
  const seconds = numberIn(jobSettings["MAX_JOB_TIME"]) ?? defaultJobTimeS;
  const scale = numberIn(jobSettings["TIMEOUT_SCALE"]) ?? 1;
  const limitMs = seconds * scale * 1000;
  return Number.isNaN(limitMs) ? Number.POSITIVE_INFINITY : Math.max(0, limitMs);
}

/**
 * Does work that may take so long, `Infinity` being no limit. Its context is aborted with a `JobStop` of reason
 * "timeout" when the time is over; whatever it then throws, that stop is what comes out.
 */
export async function withDeadline<T>(
  limitMs: number,
  context: Context,
  work: (inner: Context) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const signal = AbortSignal.any([context.signal, deadline.signal]);
  const cancel = callAfter(limitMs, () => deadline.abort(new JobStop("timeout")));
  try {
    return await work({ ...context, signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    cancel();
  }
}

function callAfter(limitMs: number, callback: () => void): () => void {
  const endMs = performance.now() + limitMs;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = () => {
    const remainingMs = endMs - performance.now();
    if (remainingMs <= 0) callback();
    else timer = setTimeout(wait, Math.min(remainingMs, maxTimerMs));
  };
  wait();
  return () => clearTimeout(timer);
}

/** What Perl takes for a number. */
const number = /^\s*[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|(inf(?:inity)?))\s*$/i;
/** Longer texts are no numbers of seconds. */
const maxNumberChars = 100;

function numberIn(text: string | undefined): number | undefined {
  if (text === undefined || text.length > maxNumberChars) return undefined;
  const [found, infinite] = number.exec(text) ?? [];
  if (found === undefined) return undefined;
  if (infinite === undefined) return Number(found);
  return found.includes("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}
