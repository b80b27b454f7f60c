// The spinner of subcommands that wait, on stderr; a plain line where there is no terminal.
import type { Ora } from "ora";

export async function startSpinner(text: string): Promise<Ora> {
  const { default: ora } = await import("ora");
  // Terminals need not tell their width: ora would clear lines without end then.
  const hasNoWidth = process.stderr.columns === 0;
  return ora({ text, ...(hasNoWidth && { isEnabled: false }) }).start();
}
