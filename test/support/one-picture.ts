// Has one picture optimised by the picture process of an executable.
import { expect } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import {
  type PictureAnswer,
  type PictureRequest,
  pictureAnswerSchema,
} from "../../src/pictures/picture-messages.ts";

export interface OnePicture {
  readonly answer: PictureAnswer;
  readonly pictureFile: string;
  readonly copyFile: string;
  /** As the kernel tells it (/proc/PID/maps): what is loaded. */
  readonly maps: string;
}

/** Starts `command` (which must become the picture process) in `cwd`; `pool` is an empty folder. */
export async function optimiseOne(
  command: readonly string[],
  { cwd, env, pool }: { cwd: string; env: Readonly<Record<string, string>>; pool: string },
): Promise<OnePicture> {
  const create = { width: 40, height: 30, channels: 3 as const, background: "#369" };
  const pictureFile = join(pool, "picture.png");
  await sharp({ create }).png({ compressionLevel: 0 }).toFile(pictureFile);
  await using child = Bun.spawn([...command], {
    cwd,
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const request: PictureRequest = { id: 1, pool, name: "picture.png", copy: "copy.png" };
  child.stdin.write(`${JSON.stringify(request)}\n`);
  await child.stdin.flush();
  const { value } = await child.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
  if (value === undefined) throw new Error(`No answer: ${await child.stderr.text()}`);
  const maps = await readFile(`/proc/${child.pid}/maps`, "utf8");
  await child.stdin.end();
  expect(await child.exited).toBe(0);
  expect(await child.stderr.text()).toBe("");
  const answer = pictureAnswerSchema.parse(JSON.parse(value));
  return { answer, pictureFile, copyFile: join(pool, "copy.png"), maps };
}
