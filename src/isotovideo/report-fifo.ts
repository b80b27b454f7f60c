// The FIFO in the pool directory over which a supervisor reports. Whoever opens it, the worker that has started the
// supervisor or a later one, is told by the end of the file that the supervisor is gone, however that came about.
import { constants, type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeFifo } from "../process/libc.ts";
import { reportFifo, stateFolder } from "./pool-state.ts";

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants;

const readBytes = 16 * 1024;

/**
 * A new one, open for the supervisor to write to: it neither waits for a reader nor is it harmed when there is none.
 * Close it once the supervisor has it, or the end of the file does not come.
 */
export async function makeReportFifo(poolDirectory: string): Promise<FileHandle> {
  const path = join(poolDirectory, stateFolder, reportFifo);
  await rm(path, { force: true });
  makeFifo(path, 0o600);
  return await open(path, O_RDWR | O_NOFOLLOW);
}

/** For `fifoChunks`, which closes it. Throws when there is none. */
export async function openReportFifo(poolDirectory: string): Promise<FileHandle> {
  const path = join(poolDirectory, stateFolder, reportFifo);
  const fifo = await open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  if ((await fifo.stat()).isFIFO()) return fifo;
  await fifo.close();
  throw new Error(`${path} is no FIFO`);
}

/** What is written to it until nobody has it open for writing; waiting needs no thread. Closes it at the end. */
export async function* fifoChunks(fifo: FileHandle): AsyncGenerator<Uint8Array, void> {
  try {
    for (;;) {
      const chunk = await readNow(fifo);
      if (chunk === undefined) break;
      if (chunk.length === 0) return;
      yield chunk;
    }
    yield* Bun.file(fifo.fd).stream();
  } finally {
    await fifo.close();
  }
}

/**
 * Undefined: nothing yet. A stream does not notice the end of a FIFO that nobody had open for writing from the
 * beginning; a read does.
 */
async function readNow(fifo: FileHandle): Promise<Uint8Array | undefined> {
  try {
    const { buffer, bytesRead } = await fifo.read(new Uint8Array(readBytes), 0, readBytes, null);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") return undefined;
    throw error;
  }
}
