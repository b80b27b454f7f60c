// Pictures encoded and decoded as isotovideo does it.
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("tinycv.pl", import.meta.url));

export interface Encoding {
  /** PNG, or PPM of a text screen. */
  readonly source: string;
  /** PNG; its thumbnail goes to `.thumbs` beside it. */
  readonly picture: string;
}

export async function encodePictures(encodings: readonly Encoding[]): Promise<void> {
  await tinycv(
    "encode",
    encodings.map(({ source, picture }) => [source, picture]),
  );
}

/** Throws, naming them, when two pictures of a pair differ in any pixel. */
export async function expectSamePixels(pairs: readonly (readonly [string, string])[]): Promise<void> {
  const verdicts = (await tinycv("compare", pairs)).trim().split("\n");
  const different = pairs.filter((_, index) => verdicts[index] !== "same");
  if (different.length > 0)
    throw new Error(`pixels differ: ${different.map((pair) => pair.join(" and ")).join("; ")}`);
}

async function tinycv(command: "encode" | "compare", lines: readonly (readonly string[])[]): Promise<string> {
  const child = Bun.spawn(["perl", script, command], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  child.stdin.write(lines.map((line) => `${line.join("\t")}\n`).join(""));
  await child.stdin.end();
  const [output, errors] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw new Error(`${script} ${command}: ${errors}`);
  return output;
}
