// How fast an asset comes, hashed on its way, against curl, which only writes it; in turn, from nginx on loopback, each
// into a new file. And the memory that it takes.
//   bun run test/bench/download.ts [DOWNLOADS PER SIDE, default 5] [MiB, default 1024]
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import { z } from "zod";
import { freePorts } from "../e2e/ports.ts";
import { median, printTable } from "./table.ts";

const schema = z.object({ receivedMs: z.number(), flushedMs: z.number(), peakMb: z.number() });
type Measured = z.infer<typeof schema>;

const count = Number(process.argv[2] ?? 5);
const sizeMb = Number(process.argv[3] ?? 1024);
const folder = await mkdtemp(join(tmpdir(), "openqa-worker-bench-"));
const target = join(folder, "downloaded");
const port = await freePorts(1);
const url = `http://127.0.0.1:${port}/asset`;
const nginx = await startServer();
try {
  const curl: Measured[] = [];
  const ours: Measured[] = [];
  // The first of each is a warm-up.
  for (let round = 0; round <= count; round++) {
    const measured = { curl: await fetchWithCurl(), ours: await fetchWithOurs() };
    if (round === 0) continue;
    curl.push(measured.curl);
    ours.push(measured.ours);
  }
  print(curl, ours);
} finally {
  nginx.kill();
  await nginx.exited;
  await rm(folder, { recursive: true });
}

async function startServer(): Promise<Bun.Subprocess> {
  await fillAsset(join(folder, "asset"));
  const configuration = join(folder, "nginx.conf");
  await writeFile(
    configuration,
    `daemon off; user root; pid ${folder}/pid; error_log ${folder}/error.log; events {}
     http { access_log off; sendfile on; server { listen 127.0.0.1:${port}; root ${folder}; } }`,
  );
  const server = Bun.spawn(["nginx", "-p", folder, "-c", configuration]);
  for (let tries = 0; tries < 100; tries++) {
    if (await fetch(url, { method: "HEAD" }).catch(() => undefined)) return server;
    await Bun.sleep(50);
  }
  throw new Error("nginx does not answer");
}

async function fillAsset(path: string): Promise<void> {
  await using file = await open(path, "w");
  const piece = crypto.getRandomValues(new Uint8Array(65_536));
  for (let at = 0; at < sizeMb * 1024 * 1024; at += piece.length) await file.write(piece);
}

async function fetchWithCurl(): Promise<Measured> {
  await prepare();
  const receivedMs = Number(await $`curl -s -o ${target} -w %{time_total} ${url}`.text()) * 1000;
  const startMs = performance.now();
  await using file = await open(target);
  await file.sync();
  return { receivedMs, flushedMs: receivedMs + performance.now() - startMs, peakMb: Number.NaN };
}

async function fetchWithOurs(): Promise<Measured> {
  await prepare();
  const script = join(import.meta.dir, "download-once.ts");
  return schema.parse(await $`${process.execPath} run ${script} ${url} ${target}`.json());
}

/** A new file each time; nothing of the one before is still being written. */
async function prepare(): Promise<void> {
  await rm(target, { force: true });
  await rm(`${target}.json`, { force: true });
  await $`sync`;
}

function print(curl: readonly Measured[], ours: readonly Measured[]): void {
  console.log(`\nDownload of ${sizeMb} MiB from nginx on loopback, n = ${count} per side, in turn, MB/s`);
  const row = (name: string, key: "receivedMs" | "flushedMs") => {
    const rates = (side: readonly Measured[]) => side.map((one) => (sizeMb * 1.048576) / (one[key] / 1000));
    const [other, own] = [rates(curl), rates(ours)];
    const ratio = median(own) / median(other);
    return [name, Math.max(...other), median(other), Math.max(...own), median(own), ratio];
  };
  printTable(
    ["", "curl max", "median", "ours max", "median", "ours/curl"],
    [row("received", "receivedMs"), row("and flushed to disk", "flushedMs")],
  );
  console.log(`Peak of our memory: ${Math.max(...ours.map(({ peakMb }) => peakMb)).toFixed(0)} MB`);
}
