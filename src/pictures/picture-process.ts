// The process that optimises the pictures of all slots. Reads requests on stdin and answers on stdout
// (picture-messages.ts) until stdin ends.
import { errorText } from "../errors.ts";
import { createInside, openInside, type PoolFile, readWhole } from "../results/pool-file.ts";
import { takeLowestPriority } from "./lowest-priority.ts";
import type { OptimisedPng } from "./optimise-png.ts";
import { type PictureAnswer, type PictureRequest, pictureRequestSchema } from "./picture-messages.ts";
import { maxPictureBytes } from "./plain-png.ts";

const maxRequestChars = 64 * 1024;

type Optimise = (original: Uint8Array) => Promise<OptimisedPng>;

/**
 * Returns an exit code as soon as nobody asks any more; what is under way then is not waited for. Only the worker
 * writes here, so a request that cannot be understood is a bug and ends it with 1.
 */
export async function servePictures(): Promise<0 | 1> {
  await takeLowestPriority();
  // Not before that: native threads have the priority of those that started them.
  const { optimisePng } = await import("./optimise-png.ts");
  try {
    for await (const request of requests(Bun.stdin.stream()))
      void answerTo(request, optimisePng).then((answer) =>
        process.stdout.write(`${JSON.stringify(answer)}\n`),
      );
    return 0;
  } catch (error) {
    process.stderr.write(`Not a request for the picture process: ${errorText(error)}\n`);
    return 1;
  }
}

/** Throws for a line that is none. */
async function* requests(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<PictureRequest, void> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    if (text.length > maxRequestChars) throw new Error(`a line of more than ${maxRequestChars} characters`);
    for (const line of lines) yield pictureRequestSchema.parse(JSON.parse(line));
  }
}

/** Never throws: a picture that cannot be optimised goes out as it is, and why is said. */
async function answerTo(request: PictureRequest, optimise: Optimise): Promise<PictureAnswer> {
  const { id, pool, name } = request;
  try {
    await using picture = await openInside(pool, name);
    if (picture === undefined) return kept(id, `${name} is not there`);
    return await optimisedCopy(request, picture, optimise).catch((error) =>
      kept(id, errorText(error), picture),
    );
  } catch (error) {
    return kept(id, errorText(error));
  }
}

async function optimisedCopy(
  { id, pool, name, copy }: PictureRequest,
  picture: PoolFile,
  optimise: Optimise,
): Promise<PictureAnswer> {
  const original = await readWhole(picture, name, maxPictureBytes);
  const optimised = await optimise(original);
  if (optimised.outcome === "kept") return kept(id, `${name}: ${optimised.why}`, picture);
  await createInside(pool, copy, optimised.bytes);
  const { version, inode } = picture;
  const sizes = { bytesBefore: original.length, bytesAfter: optimised.bytes.length };
  return { id, version, inode, outcome: "smaller", ...sizes };
}

function kept(id: number, why: string, picture?: PoolFile): PictureAnswer {
  const bytes = picture?.sizeBytes ?? 0;
  const read = picture && { version: picture.version, inode: picture.inode };
  return { id, ...read, outcome: "kept", why, bytesBefore: bytes, bytesAfter: bytes };
}
