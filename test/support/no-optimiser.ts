// For jobs whose pictures are not what a test is about: all go out as they are.
import type { Optimises } from "../../src/pictures/picture-optimiser.ts";

export const noOptimiser: Optimises = {
  optimise: () => ({ answer: Promise.resolve(undefined), want: () => {}, drop: () => {} }),
};
