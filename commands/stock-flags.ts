// The flags of the stock worker, shared by `run` and `register`.
import { type Command, Option } from "commander";
import type { StockFlags } from "../src/config/flags.ts";

export interface StockOptions extends StockFlags {
  readonly debug?: boolean;
}

export function withStockFlags(command: Command): Command {
  return command
    .option("--instance <n>", "slots to run: 1, 1-4 or 1,3 (default: 1)")
    .option("--host <host>", "web UI hosts, separated by spaces, in place of HOST in workers.ini")
    .option("--apikey <key>", "API key, in place of the one in client.conf")
    .option("--apisecret <secret>", "API secret, in place of the one in client.conf")
    .option("--isotovideo <path>", "test runner (default: /usr/bin/isotovideo)")
    .option("--no-cleanup", "keep what jobs leave in the pool directory")
    .option("-v, --verbose", "log level debug", false)
    .addOption(new Option("-d, --debug", "the same as --verbose").hideHelp());
}

export function stockFlags({ debug, verbose, ...others }: StockOptions): StockFlags {
  return { ...others, verbose: verbose || debug === true };
}
