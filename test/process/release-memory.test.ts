import { expect, test } from "bun:test";
import { join } from "node:path";

test("a process that has given its code pages back keeps fewer of them, and goes on", async () => {
  const source = join(import.meta.dir, "../../src/process/release-memory.ts");
  const script = `
    const { releaseCodePages } = await import(${JSON.stringify(source)});
    const mapped = async () =>
      Number(/^RssFile:\\s+(\\d+) kB/m.exec(await Bun.file("/proc/self/status").text())[1]);
    const before = await mapped();
    await releaseCodePages();
    const after = await mapped();
    for (let round = 0; round < 20; round++) {
      await releaseCodePages();
      JSON.parse(JSON.stringify({ round, text: "x".repeat(1000).toUpperCase() }));
      new URL("http://a.example/b");
      await fetch("data:text/plain,x").then((answer) => answer.text());
      await Bun.spawn(["true"]).exited;
    }
    try { throw new Error("caught"); } catch {}
    console.log(JSON.stringify({ before, after }));`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const { before, after } = JSON.parse(await child.stdout.text());
  expect(await child.exited).toBe(0);
  expect(after).toBeLessThan(before * 0.75);
});
