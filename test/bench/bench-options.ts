// The command line of the benchmark.
import { Command, InvalidArgumentError } from "commander";
import { UsageError } from "../../src/errors.ts";

export interface BenchCommand {
  /** In the order in which they run. */
  readonly parts: readonly string[];
  readonly rounds: number;
  readonly json: string | undefined;
  readonly svg: string | undefined;
  readonly list: boolean;
  readonly redraw: boolean;
}

const maxRounds = 100;
const picturesHelp = `
The pictures are made once and kept. With a folder in OPENQA_WORKER_BENCH_PICTURES that has the folders desktop
and textmode those in there are measured as well.`;

/**
 * `known`: names of all parts, in the order in which they run. Throws `UsageError`, or commander's own error once it has
 * printed help or what is wrong.
 */
export function parseBenchCommand(argv: readonly string[], known: readonly string[]): BenchCommand {
  const command = new Command("bun run bench")
    .description("Measures this worker beside the stock worker, in turn, on a real server on loopback.")
    .argument("[parts...]", `what to measure; default: all of ${known.join(", ")}`)
    .option("--rounds <n>", "samples per side", parseRounds, 5)
    .option("--json <file>", "write all samples there; parts that were measured before stay in it")
    .option("--svg <file>", "draw the ratios there: of all parts in --json FILE, else of those measured now")
    .option("--list", "only print the parts and how long they take", false)
    .option("--redraw", "measure nothing: print and draw what is in --json FILE", false)
    .addHelpText("after", picturesHelp)
    .exitOverride();
  command.parse(argv, { from: "user" });
  const options = command.opts<
    Omit<BenchCommand, "parts" | "json" | "svg"> & { json?: string; svg?: string }
  >();
  if (options.redraw && options.json === undefined)
    throw new UsageError("--redraw needs --json FILE with figures of an earlier run");
  const unknown = command.args.filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new UsageError(`no part is called ${unknown.join(", ")}; there are ${known.join(", ")}`);
  const parts = command.args.length === 0 ? known : known.filter((name) => command.args.includes(name));
  return { ...options, parts, json: options.json, svg: options.svg };
}

function parseRounds(text: string): number {
  const rounds = Number(text);
  if (!/^\d+$/.test(text) || rounds < 1 || rounds > maxRounds)
    throw new InvalidArgumentError(`expected a number from 1 to ${maxRounds}`);
  return rounds;
}
