// `register`: registers a slot once and prints its worker id.
import { Command } from "commander";
import { parseInstances } from "../src/config/flags.ts";
import { loadSettings } from "../src/config/load-settings.ts";
import { type ExitCode, exitCode, UsageError } from "../src/errors.ts";
import { silentLog } from "../src/ops/log.ts";
import { registerSlot } from "../src/slot/register-slot.ts";
import { currentProgram } from "./program.ts";
import { startSpinner } from "./spinner.ts";
import { type StockOptions, stockFlags, withStockFlags } from "./stock-flags.ts";

export function create(finish: (code: ExitCode) => void): Command {
  return withStockFlags(new Command("register"))
    .description("Registers one slot at its web UI hosts and prints its worker id at each, a line per host.")
    .option("--json", "print JSON: a list of {host, url, workerId}", false)
    .action(async (options: StockOptions & { json: boolean }) => {
      const program = currentProgram();
      const flags = stockFlags(options);
      const [instance, ...others] = parseInstances(flags.instance ?? "1");
      if (instance === undefined || others.length > 0)
        throw new UsageError(`--instance ${flags.instance}: expected one slot, such as 1`);
      const settings = await loadSettings({ instance, flags, program });
      const spinner = options.json ? undefined : await startSpinner(`Registering slot ${instance}`);
      try {
        const registered = await registerSlot(settings, program, {
          signal: new AbortController().signal,
          log: silentLog,
        });
        spinner?.stop();
        if (options.json) console.log(JSON.stringify(registered));
        else for (const { workerId } of registered) console.log(workerId);
        finish(exitCode.done);
      } finally {
        spinner?.stop();
      }
    });
}
