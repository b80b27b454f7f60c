// The command line: subcommands and what they share. Flags without a subcommand mean `run`, as existing units and
// scripts call the stock worker.
import { Command, CommanderError } from "commander";
import { version } from "../package.json";
import { type ExitCode, errorText, exitCode, WorkerError } from "../src/errors.ts";

/** What a subcommand's file exports: itself, with an action that sets the exit code through `finish`. */
export interface Subcommand {
  readonly create: (finish: (code: ExitCode) => void) => Command;
}

const subcommands: Readonly<Record<string, { summary: string; load: () => Promise<Subcommand> }>> = {
  run: { summary: "take jobs of the configured web UI hosts (the daemon)", load: () => import("./run.ts") },
  cache: { summary: "fetch, list, verify, prune or serve cached assets", load: () => import("./cache.ts") },
  sync: { summary: "sync the tests of web UI hosts and show what changed", load: () => import("./sync.ts") },
  register: { summary: "register a slot once and print its worker id", load: () => import("./register.ts") },
};

const exitCodeHelp = `
Exit codes:
  0  done
  1  failed
  2  a job ended incomplete
  3  wrong usage or set-up (flags, configuration, missing program, slot taken)`;

/** Runs the subcommand that the arguments name. Returns the exit code; never throws. */
export async function main(argv: readonly string[]): Promise<ExitCode> {
  let code: ExitCode = exitCode.done;
  try {
    const program = await createProgram(argv, (finished) => {
      code = finished;
    });
    await program.parseAsync(withSubcommand(argv), { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.done : exitCode.usage;
    console.error(`openqa-worker: ${errorText(error)}`);
    return error instanceof WorkerError ? error.exitCode : exitCode.failed;
  }
}

async function createProgram(argv: readonly string[], finish: (code: ExitCode) => void): Promise<Command> {
  const program = new Command("openqa-worker")
    .description("Worker of openQA: one process for all slots of a host.")
    .version(version, "-V, --version")
    .addHelpText("after", '\nFlags without a subcommand mean "run": openqa-worker --instance 1')
    .addHelpText("afterAll", exitCodeHelp)
    .enablePositionalOptions()
    .exitOverride();
  const called = withSubcommand(argv)[0];
  for (const [name, { summary, load }] of Object.entries(subcommands)) {
    const isCalled = name === called || (called === "help" && name === argv[1]);
    const command = isCalled ? (await load()).create(finish).exitOverride() : new Command(name);
    program.addCommand(command.summary(summary));
  }
  return program;
}

function withSubcommand(argv: readonly string[]): string[] {
  const [first] = argv;
  const isForProgram = first !== undefined && ["help", "--help", "-h", "--version", "-V"].includes(first);
  return first === undefined || (first.startsWith("-") && !isForProgram) ? ["run", ...argv] : [...argv];
}
