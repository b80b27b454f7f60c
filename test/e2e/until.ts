// Waiting for something outside that does not tell when it is so.

const pollMs = 100;

/** Asks again and again until the answer is truthy, and returns it. Throws, naming what was waited for, after `limitMs`. */
export async function until<T>(
  what: string,
  limitMs: number,
  ask: () => Promise<T>,
): Promise<NonNullable<T>> {
  const end = Date.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`waited ${limitMs / 1000} s in vain until ${what}`);
    await Bun.sleep(pollMs);
  }
}
