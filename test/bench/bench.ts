// The benchmark: measures this worker and what it is compared with, part by part, and prints, stores and draws the
// figures.
//   bun run bench --help
import { writeFile } from "node:fs/promises";
import { CommanderError } from "commander";
import { errorText, exitCode, WorkerError } from "../../src/errors.ts";
import { type BenchCommand, parseBenchCommand } from "./bench-options.ts";
import {
  type Figures,
  type PartFigures,
  readFigures,
  type Surroundings,
  withPart,
  writeFigures,
} from "./figures-json.ts";
import { figuresSvg } from "./figures-svg.ts";
import { loadPart, partNames } from "./part-files.ts";
import { runPart } from "./part-process.ts";
import { partTable } from "./part-table.ts";
import { readSurroundings, unrest } from "./surroundings.ts";

/** As a shell has it for SIGINT. */
const interruptedCode = 130;

process.exit(await main(process.argv.slice(2)));

async function main(argv: readonly string[]): Promise<number> {
  try {
    const known = await partNames();
    const command = parseBenchCommand(argv, known);
    if (command.list) return await list(command);
    if (command.redraw) return await redraw(command);
    return await measureAll(command, known);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.done : exitCode.usage;
    console.error(`bench: ${errorText(error)}`);
    return error instanceof WorkerError ? error.exitCode : exitCode.failed;
  }
}

async function list({ parts }: BenchCommand): Promise<number> {
  const loaded = await Promise.all(parts.map(loadPart));
  for (const { name, title, minutes } of loaded)
    console.log(`${name.padEnd(12)} ${String(minutes).padStart(4)} min  ${title}`);
  const sum = loaded.reduce((minutes, part) => minutes + part.minutes, 0);
  console.log(`together     ${String(sum).padStart(4)} min  on two cores, with 5 rounds`);
  return exitCode.done;
}

async function redraw({ parts, json = "", svg }: BenchCommand): Promise<number> {
  const figures = await readFigures(json);
  for (const name of parts) {
    const part = figures.parts[name];
    if (part) print(name, part);
  }
  if (svg !== undefined) await writeFile(svg, figuresSvg(figures));
  return exitCode.done;
}

async function measureAll(command: BenchCommand, order: readonly string[]): Promise<number> {
  const surroundings = await readSurroundings();
  const warning = unrest(surroundings);
  if (warning) console.log(`Warning: ${warning}`);
  // Before anything is measured: a file that cannot be used is told at once.
  let figures: Figures = command.json === undefined ? { parts: {} } : await readFigures(command.json);
  const interruption = untilInterrupted();
  const failed: string[] = [];
  for (const name of command.parts) {
    try {
      const measured = await measure(name, command.rounds, surroundings, interruption);
      figures = withPart(figures, name, measured, order);
      await keep(figures, command);
      print(name, measured);
    } catch (error) {
      console.error(`bench: ${name} failed: ${errorText(error)}`);
      if (interruption.aborted) return interruptedCode;
      failed.push(name);
    }
  }
  if (failed.length === 0) return exitCode.done;
  console.log(`\nFailed: ${failed.join(", ")}`);
  return exitCode.failed;
}

/** After each part: what has been measured stays when a later one is interrupted. */
async function keep(figures: Figures, { json, svg }: BenchCommand): Promise<void> {
  if (json !== undefined) await writeFigures(json, figures);
  if (svg !== undefined) await writeFile(svg, figuresSvg(figures));
}

async function measure(
  name: string,
  rounds: number,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<PartFigures> {
  const { title, minutes } = await loadPart(name);
  console.error(`[${new Date().toTimeString().slice(0, 8)}] ${name}: about ${minutes} minutes with 5 rounds`);
  const date = new Date();
  const measurements = await runPart({ name, rounds, signal });
  const seconds = Math.round((Date.now() - date.getTime()) / 1000);
  return { title, date: date.toISOString(), seconds, ...surroundings, measurements };
}

function print(name: string, { title, measurements }: PartFigures): void {
  console.log(`\n${name}: ${title}`);
  for (const line of partTable(measurements)) console.log(`  ${line}`);
}

function untilInterrupted(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => controller.abort(new Error(`interrupted by ${signal}`)));
  return controller.signal;
}
