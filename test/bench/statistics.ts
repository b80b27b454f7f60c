// What samples come to.
import type { Measurement } from "./bench-part.ts";

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]];
  return low === undefined || high === undefined ? Number.NaN : (low + high) / 2;
}

/** What this worker is called among the sides of a measurement. */
export const ownSide = "ours";

export interface Ratio {
  /** What ours is compared with. */
  readonly side: string;
  /** median(ours) / median(side). */
  readonly value: number;
  /** Only for the side that the aim is about. */
  readonly aim: { readonly ratio: number; readonly isMet: boolean } | undefined;
}

/** One for each side but ours, in their order; none where we were not measured. */
export function ratios({ sides, aim }: Measurement): Ratio[] {
  const own = sides[ownSide];
  if (own === undefined) return [];
  return Object.entries(sides)
    .filter(([side]) => side !== ownSide)
    .map(([side, samples]) => {
      const value = median(own) / median(samples);
      const isMet = aim !== undefined && value <= aim.ratio;
      return { side, value, aim: aim?.to === side ? { ratio: aim.ratio, isMet } : undefined };
    });
}

/** The one to show where there is room for one only: that of the aim, else the first. */
export function mainRatio(measurement: Measurement): Ratio | undefined {
  const all = ratios(measurement);
  return all.find(({ aim }) => aim !== undefined) ?? all[0];
}
