// What the web UI learns about this machine when a worker registers (protocol 2.4, 3.2).
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { machine } from "node:os";
import { promisify } from "node:util";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";

export interface Capabilities {
  /** `uname -n`, not shortened. */
  readonly nodeName: string;
  readonly cpuArch: string;
  readonly cpuModelName: string | undefined;
  /** As lscpu prints it: "32-bit, 64-bit". */
  readonly cpuOpMode: string | undefined;
  readonly cpuFlags: string | undefined;
  readonly memMaxMib: number;
}

export interface CapabilitySources {
  readonly nodeName: string;
  /** ARCH: then the processor is not looked at. */
  readonly arch: string | undefined;
  readonly lscpu?: (signal: AbortSignal) => Promise<string>;
  readonly meminfoFile?: string;
}

/** Looks at the machine. What cannot be found out is left out or 0, with a line in the log. */
export async function detectCapabilities(
  { nodeName, arch, lscpu = runLscpu, meminfoFile = "/proc/meminfo" }: CapabilitySources,
  context: Context,
): Promise<Capabilities> {
  const [processor, meminfo] = await Promise.all([
    arch === undefined ? orNothing(lscpu(context.signal), "run lscpu", context) : "",
    orNothing(readFile(meminfoFile, "utf8"), `read ${meminfoFile}`, context),
  ]);
  const field = (name: string) => lscpuField(processor, name);
  return {
    nodeName,
    cpuArch: arch ?? field("Architecture") ?? machine(),
    cpuModelName: field("Model name"),
    cpuOpMode: field("CPU op-mode(s)"),
    cpuFlags: field("Flags"),
    memMaxMib: Math.floor(Number(/^MemTotal:\s+(\d+) kB/m.exec(meminfo)?.[1] ?? 0) / 1024),
  };
}

const compatibleClasses: Readonly<Record<string, readonly string[]>> = {
  x86_64: ["x86_64", "i686", "i586"],
  i686: ["i686", "i586"],
  ppc64: ["ppc64le", "ppc64", "ppc"],
  ppc64le: ["ppc64le", "ppc64", "ppc"],
  s390x: ["s390x", "s390"],
};

/** WORKER_CLASS where none is configured (protocol 3.2). */
export function defaultWorkerClass(cpuArch: string): string {
  return (compatibleClasses[cpuArch] ?? [cpuArch]).map((each) => `qemu_${each}`).join(",");
}

const lscpuTimeoutMs = 10_000;

async function runLscpu(signal: AbortSignal): Promise<string> {
  const env = { PATH: process.env["PATH"], LC_ALL: "C" };
  return (await promisify(execFile)("lscpu", [], { env, signal, timeout: lscpuTimeoutMs })).stdout;
}

function lscpuField(text: string, name: string): string | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${name}:`));
  return line?.slice(name.length + 1).trim();
}

async function orNothing(text: Promise<string>, what: string, context: Context): Promise<string> {
  try {
    return await text;
  } catch (error) {
    context.signal.throwIfAborted();
    context.log.warn(`Unable to ${what}: ${errorText(error)}`);
    return "";
  }
}
