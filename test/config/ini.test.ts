import { describe, expect, test } from "bun:test";
import { parseIni } from "../../src/config/ini.ts";

function read(text: string) {
  const { sections, problems } = parseIni(text, "F");
  const plain = Object.fromEntries(
    [...sections].map(([name, entries]) => [
      name,
      entries.map(({ key, appends, value }) => `${key}${appends ? "+=" : "="}${value.value}@${value.origin}`),
    ]),
  );
  return { sections: plain, problems };
}

describe("the INI dialect", () => {
  const cases: readonly [what: string, text: string, sections: Record<string, string[]>][] = [
    ["values and section names are trimmed", "[ a b ]\n  K  =  v w  \n", { "a b": ["K=v w@F:2"] }],
    ["comment lines start with # or ;", "# x\n[s]\n ; y\n#z=1\nk=1", { s: ["k=1@F:5"] }],
    ["comment signs inside a value belong to it", "[s]\nk = a # b ; c", { s: ["k=a # b ; c@F:2"] }],
    ["quotes belong to the value", '[s]\nk = "a"', { s: ['k="a"@F:2'] }],
    ["the first equals sign parts key and value", "[s]\nk = a=b", { s: ["k=a=b@F:2"] }],
    ["a backslash continues nothing", "[s]\nk = a\\\nl = b", { s: ["k=a\\@F:2", "l=b@F:3"] }],
    ["values may be empty", "[s]\nk =", { s: ["k=@F:2"] }],
    ["+= is told from =", "[s]\nk += a\nl+=b\nm + = c", { s: ["k+=a@F:2", "l+=b@F:3", "m+=c@F:4"] }],
    ["a repeated section goes on", "[s]\nk=1\n[t]\n[s]\nl=2", { s: ["k=1@F:2", "l=2@F:5"], t: [] }],
    ["lines may end in CR LF", "[s]\r\nk=1\r\n", { s: ["k=1@F:2"] }],
    [
      "section names are taken literally",
      "[http://h:1/p]\nk=1\n[[::1]]\nk=2\n[1,3-5]\nk=3\n[class:A]\nk=4",
      { "http://h:1/p": ["k=1@F:2"], "[::1]": ["k=2@F:4"], "1,3-5": ["k=3@F:6"], "class:A": ["k=4@F:8"] },
    ],
  ];
  test.each(cases)("%s", (_, text, sections) => {
    expect(read(text)).toEqual({ sections, problems: [] });
  });

  const faults: readonly [what: string, text: string, problem: string][] = [
    ["a line that is nothing", "[s]\nk=1\nsecret", "F:3: no section, assignment or comment"],
    ["an assignment without a key", "[s]\n=1", "F:2: no section, assignment or comment"],
    ["an empty section name", "[s]\n[]", "F:2: no section, assignment or comment"],
    ["an assignment before the first section", "k=1\n[s]\nk=2", "F:1: assignment before the first section"],
    ["a file with no section", "# nothing\n", "F: no section in this file"],
    ["an empty file", "", "F: no section in this file"],
  ];
  test.each(faults)("%s drops the whole file and says where", (_, text, problem) => {
    expect(read(text)).toEqual({ sections: {}, problems: [`${problem}; the whole file is ignored`] });
  });

  test("all errors of a file are told, up to a limit", () => {
    expect(read("[s]\na\nb").problems).toHaveLength(2);
    expect(read(`[s]\n${"x\n".repeat(1000)}`).problems).toHaveLength(20);
  });
});
