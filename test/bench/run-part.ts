// Measures one part, in a process of its own: whatever goes wrong in it, the others are not concerned.
//   bun run test/bench/run-part.ts NAME ROUNDS FILE-FOR-THE-MEASUREMENTS
import { writeFile } from "node:fs/promises";
import { z } from "zod";
import { measurementsSchema } from "./figures-json.ts";
import { loadPart } from "./part-files.ts";

const [name = "", rounds = "", file = ""] = process.argv.slice(2);
const part = await loadPart(name);
const note = (line: string) => console.error(`[${new Date().toTimeString().slice(0, 8)}] ${name}: ${line}`);
const parsed = measurementsSchema.safeParse(await part.measure({ rounds: Number(rounds), note }));
if (!parsed.success) throw new Error(`no proper measurements: ${z.prettifyError(parsed.error)}`);
await writeFile(file, JSON.stringify(parsed.data));
// What has ended does not wait for timers or connections that the part has forgotten.
process.exit(0);
