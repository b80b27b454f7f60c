import { expect, test } from "bun:test";
import { chmod, link, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { itemizeOptions, syncChanges } from "../../../src/cache/sync/sync-changes.ts";

async function rsync(source: string, target: string): Promise<string> {
  const words = ["rsync", "-avHP", ...itemizeOptions, `${source}/`, "--delete", `${target}/`];
  const env = { PATH: process.env["PATH"], LC_ALL: "C" };
  return await new Response(Bun.spawn(words, { env, stderr: "inherit" }).stdout).text();
}

test("what the real rsync says is understood", async () => {
  const folder = await mkdtemp(join(tmpdir(), "sync-changes-"));
  const [source, target] = [join(folder, "source"), join(folder, "target")];
  const changes = async () => {
    const found = syncChanges((await rsync(source, target)).replace(/[^\n\r]*\r/g, ""));
    return found.map(({ kind, path }) => `${kind} ${path}`).sort();
  };
  try {
    await mkdir(join(source, "lib"), { recursive: true });
    await mkdir(join(target, "old"), { recursive: true });
    for (const name of [
      "source/main.pm",
      "source/lib/a b -> c => d.pm",
      "target/old/x.pm",
      "source/Tür\n.pm",
    ])
      await writeFile(join(folder, name), name);
    await symlink("main.pm", join(source, "link.pm"));
    await link(join(source, "main.pm"), join(source, "same.pm"));
    expect(await changes()).toEqual([
      "deleted old/",
      "deleted old/x.pm",
      "new Tür\\#012.pm",
      "new lib/",
      "new lib/a b -> c => d.pm",
      "new link.pm",
      "new main.pm",
      "new same.pm",
    ]);
    expect(await changes()).toEqual([]);

    await writeFile(join(source, "lib/a b -> c => d.pm"), "now longer than before, whatever it was");
    await chmod(join(source, "Tür\n.pm"), 0o600);
    await utimes(join(source, "lib"), 1, 1);
    await rm(join(source, "link.pm"));
    await symlink("same.pm", join(source, "link.pm"));
    expect(await changes()).toEqual([
      "changed Tür\\#012.pm",
      "changed lib/a b -> c => d.pm",
      "changed link.pm",
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  "sending incremental file list",
  "receiving incremental file list",
  "created directory /cache/host/tests",
  "sent 373 bytes  received 128 bytes  1,002.00 bytes/sec",
  "total size is 10  speedup is 0.02 (DRY RUN)",
  'rsync: [sender] link_stat "/none" failed: No such file or directory (2)',
  "         32,768 100%    0.00kB/s    0:00:00 (xfr#1, to-chk=6/8)",
  "",
])("%p is no change", (line) => {
  expect(syncChanges(line)).toEqual([]);
});
