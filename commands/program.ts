// What the process is started with, for everything in src/ that asks.
import { homedir, hostname } from "node:os";
import type { Program } from "../src/context.ts";

export function currentProgram(): Program {
  return { env: process.env, cwd: process.cwd(), home: homedir(), nodeName: hostname() };
}
