// Whether the Open vSwitch service that jobs of class `tap` need is on the system bus (protocol 3.3 no. 5). A host
// without a bus, or without a program to ask it, is one without the service (field lesson 34).
import { abortable } from "../../abortable.ts";
import type { Settings } from "../../config/settings.ts";
import type { Context, Program } from "../../context.ts";
import { errorText } from "../../errors.ts";
import { type HostCommandEnd, runHostCommand } from "../host-command.ts";

/** Of a bus, to one question. */
const maxAnswerMs = 10_000;
const maxOutputBytes = 4096;

const bus = "org.freedesktop.DBus";
const busPath = "/org/freedesktop/DBus";

/** What buses say of a name that nothing can start: then there is nothing to explain. */
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
  const ask = (question: readonly [string, ...string[]]) => {
    const [file, ...flags] = question;
    const command = { program: file, flags, environment: { LC_ALL: "C" }, maxMs, maxOutputBytes };
    return runHostCommand(command, program, signal);
  };
  try {
    for (const { hasOwner, start } of questions(name)) {
      const owner = await ask(hasOwner);
      if (owner.isMissing) continue;
      if (owner.problem !== undefined) return `${text} (${why(owner)})`;
      if (/\btrue\b/.test(owner.output)) return undefined;
      const started = await ask(start);
      if (started.problem === undefined) return undefined;
      return absent.test(started.output) ? text : `${text} (${why(started)})`;
    }
    return `${text} (neither busctl nor dbus-send is installed)`;
  } catch (error) {
    signal.throwIfAborted();
    return `${text} (${errorText(error)})`;
  }
}

interface Questions {
  readonly hasOwner: readonly [string, ...string[]];
  /** Buses know only of services that they can start: one that runs may be none of these. */
  readonly start: readonly [string, ...string[]];
}

function questions(name: string): readonly Questions[] {
  const busctl = ["busctl", "--system", "call", bus, busPath, bus] as const;
  const dbusSend = ["dbus-send", "--system", "--print-reply", `--dest=${bus}`, busPath] as const;
  return [
    {
      hasOwner: [...busctl, "NameHasOwner", "s", name],
      start: [...busctl, "StartServiceByName", "su", name, "0"],
    },
    {
      hasOwner: [...dbusSend, `${bus}.NameHasOwner`, `string:${name}`],
      start: [...dbusSend, `${bus}.StartServiceByName`, `string:${name}`, "uint32:0"],
    },
  ];
}

function why({ output, problem }: HostCommandEnd): string {
  return output.trim().split("\n", 1)[0] || String(problem);
}
