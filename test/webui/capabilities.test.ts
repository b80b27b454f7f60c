import { expect, test } from "bun:test";
import { defaultWorkerClass, detectCapabilities } from "../../src/webui/capabilities.ts";
import { testContext } from "./web-ui-door.ts";

const lscpu = async () => `Architecture:        aarch64
CPU op-mode(s):      32-bit, 64-bit
Model name:          AMD EPYC
Model:               17
Flags:               fpu pti        vmmcall
`;

test("the processor is described as lscpu prints it", async () => {
  const found = await detectCapabilities({ nodeName: "vm.example", arch: undefined, lscpu }, testContext());
  expect(found).toEqual({
    nodeName: "vm.example",
    cpuArch: "aarch64",
    cpuModelName: "AMD EPYC",
    cpuOpMode: "32-bit, 64-bit",
    cpuFlags: "fpu pti        vmmcall",
    memMaxMib: expect.any(Number),
  });
  expect(Number.isInteger(found.memMaxMib) && found.memMaxMib > 100).toBe(true);
});

test("with ARCH the processor is not looked at", async () => {
  const never = () => Promise.reject(new Error("called"));
  const found = await detectCapabilities({ nodeName: "vm", arch: "s390x", lscpu: never }, testContext());
  expect(found).toMatchObject({ cpuArch: "s390x", cpuModelName: undefined, cpuFlags: undefined });
});

test("this machine's own lscpu and memory are read", async () => {
  const context = testContext();
  const found = await detectCapabilities({ nodeName: "vm", arch: undefined }, context);
  expect(found.cpuArch).toBe(process.arch === "x64" ? "x86_64" : "aarch64");
  expect(context.entries).toEqual([]);
});

test("without lscpu and memory figures the worker goes on, and says so (field lesson 34)", async () => {
  const context = testContext();
  const missing = () => Promise.reject(new Error("spawn lscpu ENOENT"));
  const sources = { nodeName: "vm", arch: undefined, lscpu: missing, meminfoFile: "/nonexistent" };
  const found = await detectCapabilities(sources, context);
  expect(found).toMatchObject({ cpuModelName: undefined, memMaxMib: 0 });
  expect(found.cpuArch).toMatch(/^(x86_64|aarch64)$/);
  expect(context.entries.map(({ level }) => level)).toEqual(["warn", "warn"]);
});

test.each([
  ["x86_64", "qemu_x86_64,qemu_i686,qemu_i586"],
  ["i686", "qemu_i686,qemu_i586"],
  ["ppc64", "qemu_ppc64le,qemu_ppc64,qemu_ppc"],
  ["ppc64le", "qemu_ppc64le,qemu_ppc64,qemu_ppc"],
  ["s390x", "qemu_s390x,qemu_s390"],
  ["aarch64", "qemu_aarch64"],
  ["riscv64", "qemu_riscv64"],
])("default class on %s: %s", (arch, workerClass) => expect(defaultWorkerClass(arch)).toBe(workerClass));
