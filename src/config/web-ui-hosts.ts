// The entries of HOST: URL, share directory, credentials and the rest of what is configured per web UI host (protocol
// 1.3, 1.4).
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { IniFile } from "./ini.ts";
import { firstNumber, textOf, toMilliseconds } from "./read-values.ts";
import type { IgnoredHost, WebUiHostSettings } from "./settings.ts";
import { byDefault, Sourced, type SourcedTree, type Values } from "./sourced.ts";
import { numberKeys } from "./stock-keys.ts";
import { sectionValues, type WorkersIni } from "./workers-ini.ts";

/** What hosts are made of. `problems` is added to. */
export interface HostSources {
  readonly cwd: string;
  readonly projectDirectory: Sourced<string>;
  readonly workersIni: WorkersIni;
  readonly clientConf: readonly IniFile[];
  /** Of all hosts: RETRY_DELAY, RETRY_DELAY_IF_WEBUI_BUSY. */
  readonly values: Values;
  /** From flags and environment; they win over client.conf. */
  readonly key: Sourced<string> | undefined;
  readonly secret: Sourced<string> | undefined;
  readonly problems: string[];
}

export interface Hosts {
  readonly hosts: readonly SourcedTree<WebUiHostSettings>[];
  readonly ignoredHosts: readonly SourcedTree<IgnoredHost>[];
}

/** Takes HOST apart, each entry once. */
export async function webUiHosts(list: Sourced<string>, sources: HostSources): Promise<Hosts> {
  const hosts: SourcedTree<WebUiHostSettings>[] = [];
  const ignoredHosts: SourcedTree<IgnoredHost>[] = [];
  /** By origin. */
  const named = new Map<string, string>();
  for (const entry of new Set(list.value.split(/\s+/).filter(Boolean))) {
    const name = new Sourced(entry, list.origin);
    const ignore = (why: string) =>
      ignoredHosts.push({ name, reason: name.map(() => `Ignoring host '${entry}': ${why}`) });
    const section = sectionValues(sources.workersIni, entry);
    const address = parseHost(entry);
    const shares = shareDirectories(section, sources);
    const shareDirectory = await firstDirectory(shares);
    if (address === undefined) {
      ignore("No valid address, expected HOST, HOST:PORT or http(s)://HOST[:PORT]");
    } else if (named.has(originOf(address))) {
      // Two connections of one slot would end each other (field lesson 11).
      ignore(`It is the same web UI as '${named.get(originOf(address))}'`);
    } else if (shareDirectory === undefined) {
      ignore(`Working directory does not exist. (Checked: ${shares.map(({ value }) => value).join(" ")})`);
    } else {
      named.set(originOf(address), entry);
      hosts.push({
        ...hostSettings(address, section, sources),
        name,
        url: name.map(() => address.url),
        shareDirectory,
      });
    }
  }
  return { hosts, ignoredHosts };
}

interface Address {
  /** scheme://host[:port], the port as written. */
  readonly url: string;
  /** As written, an IPv6 address in brackets. */
  readonly hostName: string;
}

function parseHost(entry: string): Address | undefined {
  const url = entry.includes("/") ? entry : `http://${entry}`;
  const [, scheme, authority] = /^(https?):\/\/(?:[^/?#]*@)?([^/?#]+)/i.exec(url) ?? [];
  if (scheme === undefined || authority === undefined || !URL.canParse(`${scheme}://${authority}`))
    return undefined;
  return { url: `${scheme.toLowerCase()}://${authority}`, hostName: authority.replace(/:\d*$/, "") };
}

function originOf({ url }: Address): string {
  return new URL(url).origin;
}

function hostSettings({ hostName }: Address, section: Values, sources: HostSources) {
  const { values, problems } = sources;
  const delayMs = (key: "RETRY_DELAY" | "RETRY_DELAY_IF_WEBUI_BUSY") => {
    const range = numberKeys[key];
    const seconds = firstNumber(key, [section.get(key), values.get(key)], range, problems);
    return (seconds ?? byDefault(range.fallback)).map(toMilliseconds);
  };
  return {
    testPoolServer: textOf(section, "TESTPOOLSERVER"),
    credentials: credentialsOf(hostName, sources),
    retryDelayMs: delayMs("RETRY_DELAY"),
    busyRetryDelayMs: delayMs("RETRY_DELAY_IF_WEBUI_BUSY"),
  };
}

function credentialsOf(
  hostName: string,
  sources: HostSources,
): SourcedTree<WebUiHostSettings["credentials"]> {
  const key = sources.key ?? lastValue(sources.clientConf, hostName, "key");
  const secret = sources.secret ?? lastValue(sources.clientConf, hostName, "secret");
  if (key !== undefined && secret !== undefined) return { key, secret };
  const lone = key ?? secret;
  if (lone === undefined) return byDefault(undefined);
  const [found, missing] = key === undefined ? ["secret", "key"] : ["key", "secret"];
  sources.problems.push(
    `${lone.origin}: API ${found} of ${hostName} without a ${missing}; requests go unsigned`,
  );
  return lone.map(() => undefined);
}

/** An empty value takes back an earlier one. */
function lastValue(files: readonly IniFile[], section: string, key: string): Sourced<string> | undefined {
  const last = files
    .flatMap((file) => file.sections.get(section) ?? [])
    .findLast((entry) => entry.key.toLowerCase() === key && !entry.appends);
  return last?.value.value ? last.value : undefined;
}

function shareDirectories(section: Values, { cwd, projectDirectory }: HostSources): Sourced<string>[] {
  const configured = section.get("SHARE_DIRECTORY");
  const directories = configured?.value ? [configured] : [];
  return [...directories, projectDirectory.map((directory) => `${directory}/share`)].map((directory) =>
    directory.map((path) => resolve(cwd, path)),
  );
}

async function firstDirectory(paths: readonly Sourced<string>[]): Promise<Sourced<string> | undefined> {
  for (const path of paths) {
    const isDirectory = await stat(path.value).then(
      (stats) => stats.isDirectory(),
      () => false,
    );
    if (isDirectory) return path;
  }
  return undefined;
}
