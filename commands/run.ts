// `run`: the daemon.
import { Command } from "commander";
import { describeSettings } from "../src/config/describe-settings.ts";
import { parseInstances } from "../src/config/flags.ts";
import { loadSettings } from "../src/config/load-settings.ts";
import { runDaemon } from "../src/daemon.ts";
import { type ExitCode, exitCode } from "../src/errors.ts";
import { currentProgram } from "./program.ts";
import { type StockOptions, stockFlags, withStockFlags } from "./stock-flags.ts";

export function create(finish: (code: ExitCode) => void): Command {
  return withStockFlags(new Command("run"))
    .description("Takes jobs of the configured web UI hosts and runs them, one at a time in each slot.")
    .option("--show-config", "print every setting with where it comes from, and exit", false)
    .addHelpText("after", signalHelp)
    .action(async (options: StockOptions & { showConfig: boolean }) => {
      const program = currentProgram();
      const flags = stockFlags(options);
      const instances = parseInstances(flags.instance ?? "1");
      const slots = await Promise.all(
        instances.map((instance) => loadSettings({ instance, flags, program })),
      );
      if (options.showConfig) {
        for (const problem of new Set(slots.flatMap(({ problems }) => problems))) console.error(problem);
        console.log(slots.map(describeSettings).join("\n\n"));
        finish(exitCode.done);
      } else finish(await runDaemon(slots, program));
    });
}

const signalHelp = `
Signals:
  TERM, INT  stop: jobs are ended, reported and scheduled again; a second one kills their processes at once
  HUP        finish off: take nothing new, complete the current jobs, then stop
  USR2       hand over: end at once; jobs that run go on, and the next start takes them over`;
