// The log text of a request, as clients of a cache service get it: bounded. Stock workers take "4NN " anywhere in it for
// the status by which the web UI has refused an asset that is not there (protocol 6).
import { STATUS_CODES } from "node:http";
import { fromLevel, type LogSink } from "../../ops/log.ts";

/** What is more is cut out of the middle: how it began matters, and what it came to. */
export const maxOutputLength = 1024 * 1024;

export class RequestOutput {
  private collected = "";

  constructor(private readonly requestId: number) {}

  /** Lines as the stock service has them, "[info] [#ID] TEXT". */
  readonly sink: LogSink = fromLevel("info", ({ level, text }) => {
    this.collected += `[${level}] [#${this.requestId}] ${text}\n`;
    if (this.collected.length > 2 * maxOutputLength) this.collected = cutMiddle(this.collected);
  });

  get text(): string {
    return cutMiddle(this.collected);
  }

  /** Sees to it that the output says so. */
  stateRefusal(assetName: string, status: number): void {
    if (this.collected.includes(`failed: ${status} `)) return;
    const phrase = STATUS_CODES[status] ?? "refused";
    this.collected += `[info] [#${this.requestId}] Download of "${assetName}" failed: ${status} ${phrase}\n`;
  }

  /** Sees to it that nothing in it, "412 MiB" say, looks like a refusal: with no-break spaces it does not. */
  concealRefusals(): void {
    this.collected = this.collected.replace(/(4\d\d) /g, "$1\u00a0");
  }
}

function cutMiddle(text: string): string {
  if (text.length <= maxOutputLength) return text;
  const mark = "\n[...]\n";
  const headLength = maxOutputLength / 4;
  return text.slice(0, headLength) + mark + text.slice(headLength + mark.length - maxOutputLength);
}
