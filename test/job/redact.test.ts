import { describe, expect, test } from "bun:test";
import { lstat, readFile, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describeSettings, redactSettings, redactVarsFile, redactVarsJson } from "../../src/job/redact.ts";
import { TemporaryPool } from "../results/temporary-pool.ts";
import { recordingContext } from "./job-host.ts";

const settings = {
  _SECRET_TOKEN: "1",
  ROOT_PASSWORD: "2",
  ROOT_PASSWORD_HASH: "3",
  MY_SECRET_X: "4",
  password: "5",
  API_KEY: "6",
};
const hidden = "[redacted]";
const always = { ...settings, _SECRET_TOKEN: hidden, ROOT_PASSWORD: hidden, ROOT_PASSWORD_HASH: hidden };

describe("secret settings are hidden by name", () => {
  const rows: readonly (readonly [string, Record<string, string>])[] = [
    ["", always],
    ["0", always],
    ["KEY", { ...always, API_KEY: hidden }],
    ["^password$|SECRET", { ...always, password: hidden, MY_SECRET_X: hidden, _HIDE_SECRETS_REGEX: hidden }],
    ["(?i)api_key\\z", { ...always, API_KEY: hidden }],
    ["nothing|(", { ...always }],
  ];
  for (const [regex, expected] of rows)
    test(`_HIDE_SECRETS_REGEX=${regex}`, async () => {
      const { _HIDE_SECRETS_REGEX: shown, ...others } = await redactSettings(
        { ...settings, _HIDE_SECRETS_REGEX: regex },
        recordingContext(),
      );
      const { _HIDE_SECRETS_REGEX: expectedShown = regex, ...expectedOthers } = expected;
      expect(others).toEqual(expectedOthers);
      if (regex !== "nothing|(") expect(shown).toBe(expectedShown);
    });
});

test("a regular expression that is none says so in its place", async () => {
  const redacted = await redactSettings({ ...settings, _HIDE_SECRETS_REGEX: "(" }, recordingContext());
  expect(redacted["_HIDE_SECRETS_REGEX"]).toBe(
    "(invalid regex specified: Unmatched ( in regex; marked by <-- HERE in m/(?^:^_SECRET_|_PASSWORD)|( <-- HERE /)",
  );
  expect(redacted["API_KEY"]).toBe("6");
});

test("a regular expression is never run as code", async () => {
  const redacted = await redactSettings({ A: "a", _HIDE_SECRETS_REGEX: "(?{ die })" }, recordingContext());
  expect(redacted["_HIDE_SECRETS_REGEX"]).toContain("(invalid regex specified: Eval-group not allowed");
});

test("odd names are hidden when nobody can say what they are", async () => {
  const odd: Record<string, string> = JSON.parse(
    '{"__proto__":"a","":"b","x\\u0000KEY":"c","constructor":"d"}',
  );
  const redacted = await redactSettings({ ...odd, _HIDE_SECRETS_REGEX: "KEY" }, recordingContext());
  expect(JSON.stringify(redacted)).toBe(
    '{"__proto__":"a","":"b","x\\u0000KEY":"[redacted]","constructor":"d","_HIDE_SECRETS_REGEX":"KEY"}',
  );
});

test("for the log: by name, long values cut, secrets hidden", async () => {
  const text = await describeSettings({ B: "x".repeat(1e7), A: "1", _SECRET_A: "s" }, recordingContext());
  expect(text).toBe(`    A=1\n    B=${"x".repeat(2000)}… (10000000 characters)\n    _SECRET_A=[redacted]`);
});

test("vars.json comes out sorted and indented", async () => {
  const text = '{"B":"2","_SECRET_A":"s","A":{"x":[1,null]}}';
  expect(await redactVarsJson(text, recordingContext())).toBe(
    `{
   "A": {
      "x": [
         1,
         null
      ]
   },
   "B": "2",
   "_SECRET_A": "[redacted]"
}
`,
  );
});

test("a vars.json that is no JSON object cannot be redacted", async () => {
  for (const text of ["", "{", "[]", '"x"', "null", '{"A":1'])
    expect(await redactVarsJson(text, recordingContext())).toBeUndefined();
});

test("the file in the pool is replaced", async () => {
  await using pool = await TemporaryPool.make({ "vars.json": { ROOT_PASSWORD: "secret", A: "1" } });
  await redactVarsFile(pool.directory, recordingContext());
  expect(JSON.parse(await readFile(pool.path("vars.json"), "utf8"))).toEqual({
    A: "1",
    ROOT_PASSWORD: hidden,
  });
});

test("without the file there is nothing to do", async () => {
  await using pool = await TemporaryPool.make();
  await redactVarsFile(pool.directory, recordingContext());
});

test("a file that cannot be redacted, or is a link, is an error and stays untouched", async () => {
  await using pool = await TemporaryPool.make({ "vars.json": "{" });
  await expect(redactVarsFile(pool.directory, recordingContext())).rejects.toThrow(
    "vars.json is no JSON object",
  );
  await using linked = await TemporaryPool.make();
  await symlink(join(linked.outside, "secret"), linked.path("vars.json"));
  await expect(redactVarsFile(linked.directory, recordingContext())).rejects.toThrow("vars.json");
  expect(await readFile(join(linked.outside, "secret"), "utf8")).toBe("secret");
});

test("a trap in the place of the new file catches nothing", async () => {
  await using pool = await TemporaryPool.make({ "vars.json": { A: "1" } });
  await symlink(join(pool.outside, "secret"), pool.path(".vars.json.redacted"));
  await redactVarsFile(pool.directory, recordingContext());
  expect(await readFile(join(pool.outside, "secret"), "utf8")).toBe("secret");
  expect((await lstat(pool.path("vars.json"))).isFile()).toBe(true);
});
