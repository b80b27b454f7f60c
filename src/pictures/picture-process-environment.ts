// What the picture process needs in its environment besides what every child gets. It has to be small, not fast to
// start. Imports nothing: the worker reads this, and must not load what the process loads.

/** Without the first each thread that decodes keeps a heap of its own, and what it once needed. */
export const pictureProcessEnvironment: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: "2",
};
