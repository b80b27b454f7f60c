import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { IdlePowerOff } from "../../src/slot/idle-power-off.ts";
import { until } from "../isotovideo/pool.ts";
import { recordingContext } from "../job/job-host.ts";
import { livingDescendants } from "../support/born-processes.ts";
import { FakePrograms } from "./fake-programs.ts";

let programs: FakePrograms;
beforeEach(async () => {
  programs = await FakePrograms.make();
});
afterEach(() => programs[Symbol.asyncDispose]());

const settings = {
  hostname: "bmc.example",
  user: "admin",
  password: "s3cret word",
  options: `-I lanplus -L 'OPERATOR'`,
  shutdownIntervalMs: 1,
};

function powerOff(changes: Partial<typeof settings> = {}) {
  const stop = new AbortController();
  const context = recordingContext(stop.signal);
  const power = new IdlePowerOff({ ...settings, ...changes }, { env: programs.env }, context);
  return { power, stop, lines: context.lines };
}

async function calls(count: number): Promise<string[]> {
  return await until(`ipmitool has run ${count} times`, async () => {
    const found = await programs.calls();
    return found.length >= count ? found : undefined;
  });
}

describe("a slot without a job", () => {
  test("powers its machine off again and again, the password not being on the command line", async () => {
    await programs.put("ipmitool", `note "$*|$IPMI_PASSWORD"`);
    const { power } = powerOff();
    power.idle();
    const found = await calls(3);
    await power.busy();
    for (const call of found)
      expect(call).toBe("-I lanplus -L OPERATOR -H bmc.example -U admin -E chassis power off|s3cret word");
  });

  test("never does so twice at the same time, however often it is told that it is idle", async () => {
    await programs.put("ipmitool", "note begin; /bin/sleep 0.02; note end");
    const { power } = powerOff();
    for (let count = 0; count < 3; count++) power.idle();
    const found = await calls(6);
    await power.busy();
    expect(found.slice(0, 6)).toEqual(["begin", "end", "begin", "end", "begin", "end"]);
  });

  test("tells of a failure, without the password, and goes on", async () => {
    await programs.put("ipmitool", `note called; echo "invalid password $IPMI_PASSWORD for $4" >&2; exit 3`);
    const { power, lines } = powerOff();
    power.idle();
    await calls(3);
    await power.busy();
    expect(lines[0]).toBe(
      "[warn] Unable to power bmc.example off: ipmitool: exit code 3 invalid password [masked] for OPERATOR",
    );
    expect(lines.join("\n")).not.toContain("s3cret");
  });

  test("tells that ipmitool is not installed, and options that cannot be used", async () => {
    for (const options of [settings.options, "-I 'lanplus"]) {
      const { power, lines } = powerOff({ options });
      power.idle();
      await until("a line is logged", async () => lines[0]);
      await power.busy();
      expect(lines[0]).toMatch(
        /^\[warn\] Unable to power bmc\.example off: .*(ipmitool is not installed|a quote without an end)/,
      );
    }
  });
});

describe("a job that begins", () => {
  test("ends a power off under way, and waits for that", async () => {
    await programs.put("ipmitool", "note begin; exec /bin/sleep 60");
    const { power, lines } = powerOff();
    power.idle();
    await calls(1);
    await power.busy();
    expect(await livingDescendants()).toEqual([]);
    expect(lines).toEqual([]);
  });

  test("is not powered off; the machine is again when it has ended", async () => {
    await programs.put("ipmitool", "note $3");
    const { power } = powerOff({ options: "-I lanplus first" });
    power.idle();
    await calls(1);
    await power.busy();
    const before = (await programs.calls()).length;
    // The calls of another slot show that time has passed.
    const { power: other } = powerOff({ options: "-I lanplus other" });
    other.idle();
    await calls(before + 3);
    await other.busy();
    expect((await programs.calls()).slice(before)).not.toContain("first");
    const during = (await programs.calls()).length;
    power.idle();
    expect((await calls(during + 1)).at(-1)).toBe("first");
    await power.busy();
  });

  test("need not wait where nothing was under way", async () => {
    await powerOff().power.busy();
  });
});

test("a worker that is told to stop powers nothing off any more", async () => {
  await programs.put("ipmitool", "note begin; exec /bin/sleep 60");
  const { power, stop, lines } = powerOff();
  power.idle();
  await calls(1);
  stop.abort(new Error("stopped"));
  await power.busy();
  expect(await livingDescendants()).toEqual([]);
  expect(lines).toEqual([]);
});
