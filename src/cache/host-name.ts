// The name of a web UI host's folder in a cache directory (protocol 6).
import { CacheError } from "../errors.ts";
import { isBareName } from "../results/pool-file.ts";

/**
 * Name of the folder of an entry of HOST, as the stock worker has it: of a URL its host, without scheme, user and
 * port; of "HOST" and "HOST:PORT" all of it. Throws `CacheError` for what cannot be a folder.
 */
export function cacheHostName(hostEntry: string): string {
  const [, authority = ""] = /^(?:[^:/?#]+:)?\/\/([^/?#]*)/.exec(hostEntry) ?? [];
  const name = authority.replace(/^[^@]+@/, "").replace(/:\d+$/, "") || hostEntry;
  // A dot in front would also be the parent folder, or the folder of this worker's own.
  if (isBareName(name) && !name.startsWith(".")) return name;
  throw new CacheError(
    `No folder in the cache can be named after the host "${hostEntry}": expected HOST, HOST:PORT or ` +
      "http(s)://HOST[:PORT]; correct HOST in workers.ini",
  );
}
