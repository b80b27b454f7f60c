// The list of packages of this host (PACKAGES_CMD, protocol 1.3): found once at start, put into each pool.
import { randomUUID } from "node:crypto";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Context, Program } from "../context.ts";
import { errorText, exitCode, WorkerError } from "../errors.ts";
import { removeEntries } from "../ops/remove-entries.ts";
import { runHostCommand } from "./host-command.ts";
import type { PoolLock } from "./pool-lock.ts";

export const packageListFile = "worker_packages.txt";

const maxCommandMs = 600_000;
const maxListBytes = 16 * 1024 * 1024;

/** There is no list of packages. */
export class PackageListError extends WorkerError {
  readonly exitCode = exitCode.failed;
}

/** What the command writes. Throws `PackageListError`, or the signal's reason when that is aborted. */
export async function findPackages(
  shellCommand: string,
  program: Pick<Program, "env" | "cwd">,
  { signal, log }: Context,
): Promise<string> {
  log.info(`Gathering package information: ${shellCommand}`);
  const command = {
    program: "/bin/sh",
    flags: ["-c", shellCommand],
    directory: program.cwd,
    // Warnings are no packages.
    inheritsErrors: true,
    maxMs: maxCommandMs,
    maxOutputBytes: maxListBytes,
  } as const;
  const { problem, output } = await runHostCommand(command, program, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw notExecuted(errorText(error), { cause: error });
  });
  if (problem !== undefined) throw notExecuted(problem);
  if (output === "") throw new PackageListError("The PACKAGES_CMD command doesn't return any data");
  if (Buffer.byteLength(output) >= maxListBytes)
    log.warn(`Of what the PACKAGES_CMD command returns, only the last ${maxListBytes} bytes are kept`);
  return output;
}

function notExecuted(why: string, options?: ErrorOptions): PackageListError {
  return new PackageListError(`The PACKAGES_CMD command could not be executed: ${why}`, options);
}

/** In place of whatever an earlier job has left there. */
export async function placePackages({ poolDirectory }: PoolLock, text: string): Promise<void> {
  const unfinished = `.${packageListFile}.${randomUUID()}`;
  try {
    await writeFile(join(poolDirectory, unfinished), text, { flag: "wx" });
    await removeEntries(poolDirectory, [packageListFile]);
    await rename(join(poolDirectory, unfinished), join(poolDirectory, packageListFile));
  } catch (error) {
    await removeEntries(poolDirectory, [unfinished]);
    throw error;
  }
}
