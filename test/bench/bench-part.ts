// What a part of the benchmark is: it measures the same work on several sides, in turn, and hands over the samples.

export interface BenchOptions {
  /** Samples per side; a part whose samples take long says in its title when it takes fewer. */
  readonly rounds: number;
  /** For what is being done, a line each; figures do not belong here. */
  readonly note: (line: string) => void;
}

export interface BenchPart {
  /** On the command line. */
  readonly name: string;
  readonly title: string;
  /** On two cores, with the default of 5 rounds. */
  readonly minutes: number;
  readonly measure: (options: BenchOptions) => Promise<readonly Measurement[]>;
}

/** One figure. Less is better. */
export interface Measurement {
  readonly name: string;
  readonly unit: "ms" | "s" | "MB" | "ratio";
  /** Samples by side: "ours", and what it is compared with, "stock" first. */
  readonly sides: Readonly<Record<string, readonly number[]>>;
  /** Upper bound for median(ours) / median(a side). */
  readonly aim?: { readonly ratio: number; readonly to: string };
  /** For the table's reader: what was left out, what a side stands for. */
  readonly remark?: string;
}
