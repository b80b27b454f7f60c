// `cache`: the asset cache by hand. Its own subcommands are in commands/cache/.
import { Command } from "commander";
import type { ExitCode } from "../src/errors.ts";
import { clearCommand } from "./cache/clear.ts";
import { getCommand } from "./cache/get.ts";
import { listCommand } from "./cache/list.ts";
import { pruneCommand } from "./cache/prune.ts";
import { serveCommand } from "./cache/serve.ts";
import { statsCommand } from "./cache/stats.ts";
import { verifyCommand } from "./cache/verify.ts";

export function create(finish: (code: ExitCode) => void): Command {
  const command = new Command("cache").description(
    "Works on the asset cache (CACHEDIRECTORY), also while workers use it.",
  );
  const subcommands = [
    getCommand,
    listCommand,
    verifyCommand,
    pruneCommand,
    statsCommand,
    clearCommand,
    serveCommand,
  ];
  for (const subcommand of subcommands) command.addCommand(subcommand(finish).exitOverride());
  return command;
}
