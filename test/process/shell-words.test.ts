import { expect, test } from "bun:test";
import { splitShellWords } from "../../src/process/shell-words.ts";

const splits = [
  "",
  "  a  b\tc ",
  "--exclude '.git dir' rsync://host/tests",
  "a\"b c\"'d e'f",
  "'' \"\"",
  '"a\\"b" "a\\$b" "a\\b" "it\'s"',
  "a\\ b \\' \\\\ \\a",
  "'a\\' 'a\"b'",
  "ä 'ö ü'",
];

test.each(splits)("%p has the words that the shell finds in it", async (text) => {
  const shell = Bun.spawn(["/bin/sh", "-c", `for word in ${text}; do printf '%s\\0' "$word"; done`]);
  const words = (await new Response(shell.stdout).text()).split("\0").slice(0, -1);
  expect(splitShellWords(text)).toEqual(words);
});

test.each(["a'b", '"a', '"a\\"', "a\\"])("%p is not finished", (text) => {
  expect(splitShellWords(text)).toBeUndefined();
});

test.each(["$HOME", "`id`", "$(id)", "*", "~", "a;b", "a|b", "a>b", "#a"])("%p stays as it is", (text) => {
  expect(splitShellWords(`x ${text}`)).toEqual(["x", text]);
});
