import { expect, test } from "bun:test";
import { Audience } from "../../src/results/audience.ts";

type Step = "+" | "-" | "dev";

function after(steps: readonly Step[]) {
  const audience = new Audience();
  const heard: string[] = [];
  audience.onChange((change) => heard.push(`${change}, ${audience.isWatched ? "watched" : "unwatched"}`));
  for (const step of steps)
    if (step === "+") audience.viewerCame();
    else if (step === "-") audience.viewerLeft();
    else audience.developerCame();
  return { isWatched: audience.isWatched, hasDeveloper: audience.hasDeveloper, heard };
}

const came = "first viewer came, watched";
const left = "last viewer left, unwatched";
test.each<[string, Step[], boolean, boolean, string[]]>([
  ["nobody", [], false, false, []],
  ["a viewer", ["+"], true, false, [came]],
  ["two viewers, one leaves", ["+", "+", "-"], true, false, [came]],
  ["both leave", ["+", "+", "-", "-"], false, false, [came, left]],
  ["one leaves whom nobody saw coming", ["-"], false, false, []],
  ["then one comes", ["-", "-", "+"], true, false, [came]],
  ["comes back", ["+", "-", "+"], true, false, [came, left, came]],
  ["a developer", ["dev"], false, true, ["developer came, unwatched"]],
  [
    "a second session",
    ["+", "dev", "dev"],
    true,
    true,
    [came, "developer came, watched", "developer came, watched"],
  ],
])("%s", (_, steps, isWatched, hasDeveloper, heard) => {
  expect(after(steps)).toEqual({ isWatched, hasDeveloper, heard });
});

test("who has stopped listening hears nothing", () => {
  const audience = new Audience();
  let calls = 0;
  const stop = audience.onChange(() => calls++);
  audience.viewerCame();
  stop();
  audience.viewerLeft();
  expect(calls).toBe(1);
});
