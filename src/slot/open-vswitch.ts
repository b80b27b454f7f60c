// Whether the Open vSwitch service that jobs of class `tap` need is on the system bus (protocol 3.3 no. 5). A host
// without a bus, or without a program to ask it, is one without the service (field lesson 34).
import { abortable } from "../abortable.ts";
import type { Settings } from "../config/settings.ts";
import type { Context, Program } from "../context.ts";
import { errorText } from "../errors.ts";
import { type HostCommandEnd, runHostCommand } from "./host-command.ts";

const maxAnswerMs = 10_000;
const maxOutputBytes = 4096;

const bus = "org.freedesktop.DBus";
const busPath = "/org/freedesktop/DBus";

/** What buses say of a name that nobody has and nothing can start: then there is nothing to explain. */
const absent = /not provided by any \.service files|not activatable|ServiceUnknown/;

type OpenVswitchSettings = Pick<Settings, "workerClass" | "ovsDbusService">;

/** By service. Slots that ask at the same time share an answer. */
const looks = new Map<string, Promise<string | undefined>>();

/** Never rejects; nothing is found any more when the signal is aborted. */
export async function findOpenVswitchProblem(
  { workerClass, ovsDbusService }: OpenVswitchSettings,
  program: Pick<Program, "env">,
  { signal }: Context,
  { maxMs = maxAnswerMs } = {},
): Promise<string | undefined> {
  if (!workerClass?.split(",").includes("tap")) return undefined;
  while (!signal.aborted) {
    const look = looks.get(ovsDbusService) ?? startLook(ovsDbusService, program, maxMs, signal);
    try {
      return await abortable(look, signal);
    } catch {
      // Whoever had asked does not want to know any more: this slot asks anew, unless it does not either.
    }
  }
  return undefined;
}

/** Rejects only when the signal is aborted. */
function startLook(
  name: string,
  program: Pick<Program, "env">,
  maxMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const look = askBus(name, program, maxMs, signal).finally(() => looks.delete(name));
  looks.set(name, look);
  return look;
}

async function askBus(
  name: string,
  program: Pick<Program, "env">,
  maxMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const text = `D-Bus service '${name}' is not running`;
  try {
    for (const [file, ...flags] of questions(name)) {
      const end = await runHostCommand(question(file, flags, maxMs), program, signal);
      if (end.isMissing) continue;
      if (end.problem === undefined) return undefined;
      return absent.test(end.output) ? text : `${text} (${why(end)})`;
    }
    return `${text} (neither busctl nor dbus-send is installed)`;
  } catch (error) {
    signal.throwIfAborted();
    return `${text} (${errorText(error)})`;
  }
}

/** The service is started when it can be. */
function questions(name: string): readonly (readonly [string, ...string[]])[] {
  return [
    ["busctl", "--system", "call", bus, busPath, bus, "StartServiceByName", "su", name, "0"],
    [
      "dbus-send",
      "--system",
      "--print-reply",
      `--dest=${bus}`,
      busPath,
      `${bus}.StartServiceByName`,
      `string:${name}`,
      "uint32:0",
    ],
  ];
}

function question(program: string, flags: readonly string[], maxMs: number) {
  return { program, flags, environment: { LC_ALL: "C" }, maxMs, maxOutputBytes };
}

function why({ output, problem }: HostCommandEnd): string {
  return output.trim().split("\n", 1)[0] || String(problem);
}
