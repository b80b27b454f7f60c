// The address under which web UIs reach this host (WORKER_HOSTNAME, protocol 1.3).
import { lookup, lookupService } from "node:dns/promises";
import type { Settings } from "../../config/settings.ts";

const localNames = ["localhost", "127.0.0.1", "[::1]"];

/** Looked up again at each call, as names of hosts come and go; undefined: a name with a domain could not be found. */
export async function findWorkerAddress(
  { workerHostname, hosts }: Pick<Settings, "workerHostname" | "hosts">,
  nodeName: string,
): Promise<string | undefined> {
  if (workerHostname !== undefined) return workerHostname;
  if (hosts.every(({ url }) => localNames.includes(new URL(url).hostname))) return "localhost";
  if (nodeName.includes(".")) return nodeName;
  try {
    const { address } = await lookup(nodeName);
    const { hostname } = await lookupService(address, 0);
    return hostname.includes(".") && hostname !== address ? hostname : undefined;
  } catch {
    return undefined;
  }
}
