// How far a download is: a bar on terminals, a line now and then elsewhere. All of it on stderr.

import type { DownloadRequest } from "../../src/cache/download/download-request.ts";
import { byteText } from "../../src/ops/byte-text.ts";
import { startSpinner } from "../spinner.ts";
import { spanText } from "./texts.ts";

type Show = NonNullable<DownloadRequest["onProgress"]>;
type Progress = Parameters<Show>[0];

export interface ShownProgress {
  readonly show: Show;
  /** Takes the bar away; the text stays in its place. */
  readonly end: (text?: string) => void;
}

/** Between two lines where there is no terminal. */
const lineIntervalMs = 10_000;
const barWidth = 24;

export async function showProgress(name: string): Promise<ShownProgress> {
  const startMs = performance.now();
  let firstBytes: number | undefined;
  const textOf = (progress: Progress) => {
    // What an earlier download has left has not been received in this time.
    firstBytes ??= progress.receivedBytes;
    const seconds = (performance.now() - startMs) / 1000;
    return progressText(name, progress, (progress.receivedBytes - firstBytes) / Math.max(seconds, 0.1));
  };
  if (!process.stderr.isTTY) return plainLines(textOf);
  const spinner = await startSpinner(name);
  return {
    show: (progress) => {
      spinner.text = textOf(progress);
    },
    end: (text) => (text === undefined ? spinner.stop() : spinner.succeed(text)),
  };
}

function plainLines(textOf: (progress: Progress) => string): ShownProgress {
  let lastMs = performance.now();
  return {
    show: (progress) => {
      const text = textOf(progress);
      if (performance.now() - lastMs < lineIntervalMs) return;
      lastMs = performance.now();
      console.error(text);
    },
    end: (text) => {
      if (text !== undefined) console.error(text);
    },
  };
}

/** As in "a.iso [######      ] 50 %, 2.3 of 4.7 GiB, 110 MiB/s, 21 s left". */
export function progressText(
  name: string,
  { receivedBytes, totalBytes }: Progress,
  bytesPerSecond: number,
): string {
  const rate = `${byteText(bytesPerSecond)}/s`;
  if (totalBytes === undefined || totalBytes === 0) return `${name} ${byteText(receivedBytes)}, ${rate}`;
  const share = receivedBytes / totalBytes;
  const bar = "#".repeat(Math.round(share * barWidth)).padEnd(barWidth);
  const left = bytesPerSecond > 0 ? `, ${spanText((totalBytes - receivedBytes) / bytesPerSecond)} left` : "";
  const amount = `${byteText(receivedBytes)} of ${byteText(totalBytes)}`;
  return `${name} [${bar}] ${Math.floor(share * 100)} %, ${amount}, ${rate}${left}`;
}
