// What can be the name of a cached asset, and where a web UI has the assets of its jobs. Pure.
import { testsFolderName } from "./cache-folder.ts";

/** What a web UI has folders for (protocol 4.2). */
export const assetTypes = ["iso", "hdd", "other", "repo"] as const;

const maxNameBytes = 255;

/** Why a file of that name cannot be in the folder of a host; undefined: it can. */
export function assetNameProblem(name: string): string | undefined {
  const quoted = JSON.stringify(name.slice(0, maxNameBytes));
  if (name === "" || name === "." || name === ".." || name.includes("/"))
    return `${quoted} is not the name of a file`;
  if (hasControlCharacters(name)) return `${quoted} has control characters`;
  if (Buffer.byteLength(name) > maxNameBytes) return `${quoted} has more than ${maxNameBytes} bytes`;
  if (name === testsFolderName) return `${quoted} is where the tests of a host are`;
  return undefined;
}

/** They could forge lines of a log. */
export function hasControlCharacters(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

/** `url`: base URL of the web UI. */
export function jobAssetUrl(url: string, asset: { jobId: string; type: string; name: string }): URL {
  const [jobId, type, name] = [asset.jobId, asset.type, asset.name].map(encodeURIComponent);
  return new URL(`${url}/tests/${jobId}/asset/${type}/${name}`);
}
