// `cache serve`: the cache for stock workers of this host.
import { Command } from "commander";
import { AssetCache } from "../../src/cache/asset-cache.ts";
import { serveOwnCache } from "../../src/cache/serve-cache.ts";
import type { ListenAddress } from "../../src/cache/service/listen.ts";
import { type ExitCode, exitCode, UsageError } from "../../src/errors.ts";
import { childEnvironment } from "../../src/process/child-environment.ts";
import { currentProgram } from "../program.ts";
import { type CacheOptions, cacheWorkplace, withCacheFlags } from "./open-cache.ts";

export function serveCommand(finish: (code: ExitCode) => void): Command {
  return withCacheFlags(new Command("serve"))
    .summary("serve the cache to stock workers of this host (a service)")
    .description(
      "Serves the cache by the HTTP interface of the stock cache service, so that stock workers of this host use it too. openqa-worker itself does not need it. TERM and INT stop it.",
    )
    .option("--listen <address...>", "HOST:PORT (default: the cache service's port, 9530, on loopback)")
    .action(async (options: CacheOptions & { listen?: readonly string[] }) => {
      const { settings, cacheSettings, context } = await cacheWorkplace({ ...options, isService: true });
      const { localUrl } = cacheSettings.service;
      const listen = options.listen?.map(parseAddress) ?? loopback(Number(new URL(localUrl).port));
      await using cache = await AssetCache.open(cacheSettings, settings.own, context.log);
      const environment = childEnvironment(currentProgram());
      const server = await serveOwnCache(cache, { listen, settings, cacheSettings, environment }, context);
      context.log.info(`Serving ${cacheSettings.directory} at ${server.urls.join(", ")}`);
      await aborted(context.signal);
      await server.close();
      finish(exitCode.done);
    });
}

function loopback(port: number): readonly ListenAddress[] {
  return ["127.0.0.1", "::1"].map((hostname) => ({ hostname, port }));
}

function parseAddress(text: string): ListenAddress {
  const [, hostname, port] = /^(?:\[?([^\]]+)\]?:)(\d{1,5})$/.exec(text) ?? [];
  if (hostname === undefined || Number(port) > 65_535)
    throw new UsageError(`--listen ${text}: expected HOST:PORT, such as 127.0.0.1:9530 or [::1]:9530`);
  return { hostname, port: Number(port) };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
