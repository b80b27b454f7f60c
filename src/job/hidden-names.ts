// Which settings hold secrets (protocol 4.1, step 5). `_HIDE_SECRETS_REGEX` is a regular expression of Perl's, so Perl
// reads it: in JavaScript some mean something else, which would show secrets, and one that takes forever could not be
// stopped.
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";

/** Names that hold secrets whatever a job says. */
export const alwaysHidden = /^_SECRET_|_PASSWORD/;

export interface HiddenNames {
  readonly isHidden: (name: string) => boolean;
  /** What is wrong with the regular expression. */
  readonly error?: string;
}

/** More than Perl needs for any sensible regular expression. */
const timeoutMs = 10_000;

// NUL-separated on stdin: the regular expression, then names. Answers "ok" and the numbers of those that match, or
// "error" and why.
const script = String.raw`
  binmode $_, ':encoding(UTF-8)' for *STDIN, *STDOUT;
  local $/;
  my ($given, @names) = split /\0/, <STDIN>, -1;
  my $always = qr/^_SECRET_|_PASSWORD/;
  my $hidden = eval { qr/$always|$given/ };
  if (!defined $hidden) { print 'error ', $@ =~ s/ at .*//sr; exit }
  print join ' ', 'ok', grep { $names[$_] =~ $hidden } 0 .. $#names;
`;

/** Names that hold secrets among some. When the regular expression cannot be tried all of them do. */
export async function findHidden(
  names: readonly string[],
  regex: string | undefined,
  context: Context,
): Promise<HiddenNames> {
  if (!regex || regex === "0") return { isHidden: (name) => alwaysHidden.test(name) };
  try {
    const answer = await askPerl([regex, ...names.filter(isPlain)].join("\0"), context);
    if (answer.startsWith("error ")) {
      const error = answer.slice("error ".length).trim();
      return { isHidden: (name) => alwaysHidden.test(name), error };
    }
    const plain = names.filter(isPlain);
    const shown = new Set(plain);
    for (const number of answer.split(" ").slice(1)) shown.delete(plain[Number(number)] ?? "");
    return { isHidden: (name) => alwaysHidden.test(name) || !shown.has(name) };
  } catch (error) {
    context.signal.throwIfAborted();
    context.log.warn(`Hiding all settings, _HIDE_SECRETS_REGEX cannot be tried: ${errorText(error)}`);
    return { isHidden: () => true };
  }
}

/** The separator cannot be part of a name. */
function isPlain(name: string): boolean {
  return !name.includes("\0");
}

async function askPerl(input: string, { signal }: Context): Promise<string> {
  const { execa } = await import("execa");
  const { stdout } = await execa("perl", ["-e", script], {
    input,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin" },
    extendEnv: false,
    timeout: timeoutMs,
    cancelSignal: signal,
    forceKillAfterDelay: false,
    killSignal: "SIGKILL",
  });
  if (!/^(ok|error)\b/.test(stdout)) throw new Error("no answer from perl");
  return stdout;
}
