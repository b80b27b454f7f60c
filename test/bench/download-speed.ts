// How fast an asset comes, hashed on its way, against curl, which only writes it; in turn, from nginx on loopback, each
// into a new file. And the memory that it takes.
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import { z } from "zod";
import { freePorts, isOpen } from "../e2e/ports.ts";
import { until } from "../e2e/until.ts";
import type { BenchOptions, Measurement } from "./bench-part.ts";

const startLimitMs = 10_000;

const measuredSchema = z.object({ receivedMs: z.number(), flushedMs: z.number(), peakMb: z.number() });
type Measured = z.infer<typeof measuredSchema>;

interface Setting {
  /** With the asset and what is downloaded. */
  readonly folder: string;
  readonly url: string;
  readonly target: string;
}

export async function measureDownloadSpeed(sizeBytes: number, options: BenchOptions): Promise<Measurement[]> {
  const folder = await mkdtemp(join(tmpdir(), "openqa-worker-bench-"));
  const port = await freePorts(1);
  const setting = { folder, url: `http://127.0.0.1:${port}/asset`, target: join(folder, "downloaded") };
  try {
    await fillFile(join(folder, "asset"), sizeBytes);
    const nginx = await startNginx(folder, port);
    try {
      await until("nginx listens", startLimitMs, () => isOpen(port));
      return await measureInTurn(setting, options);
    } finally {
      nginx.kill();
      await nginx.exited;
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Not all zeros, and nothing that would compress. */
export async function fillFile(path: string, sizeBytes: number): Promise<void> {
  await using file = await open(path, "w");
  const piece = crypto.getRandomValues(new Uint8Array(65_536));
  for (let at = 0; at < sizeBytes; at += piece.length) await file.write(piece);
}

async function startNginx(folder: string, port: number): Promise<Bun.Subprocess> {
  const configuration = join(folder, "nginx.conf");
  await writeFile(
    configuration,
    `daemon off; user root; pid ${folder}/pid; error_log ${folder}/error.log; events {}
     http { access_log off; sendfile on; server { listen 127.0.0.1:${port}; root ${folder}; } }`,
  );
  return Bun.spawn(["nginx", "-p", folder, "-c", configuration], { stdio: ["ignore", "ignore", "inherit"] });
}

async function measureInTurn(setting: Setting, { rounds, note }: BenchOptions): Promise<Measurement[]> {
  const curl: Measured[] = [];
  const ours: Measured[] = [];
  // The first of each is a warm-up.
  for (let round = 0; round <= rounds; round++) {
    note(`downloads of curl and ours, round ${round} of ${rounds}`);
    const measured = { curl: await fetchWithCurl(setting), ours: await fetchWithOurs(setting) };
    if (round === 0) continue;
    curl.push(measured.curl);
    ours.push(measured.ours);
  }
  const seconds = (key: "receivedMs" | "flushedMs") => ({
    curl: curl.map((one) => one[key] / 1000),
    ours: ours.map((one) => one[key] / 1000),
  });
  const aim = { ratio: 1 / 0.9, to: "curl" };
  return [
    {
      name: "download alone, received",
      unit: "s",
      sides: seconds("receivedMs"),
      aim,
      remark: "with SHA-256",
    },
    { name: "download alone, flushed to disk", unit: "s", sides: seconds("flushedMs"), aim },
    { name: "download alone, memory at most", unit: "MB", sides: { ours: ours.map(({ peakMb }) => peakMb) } },
  ];
}

async function fetchWithCurl({ url, target }: Setting): Promise<Measured> {
  await makeRoom(target);
  const receivedMs = Number(await $`curl -s -o ${target} -w %{time_total} ${url}`.text()) * 1000;
  const startMs = performance.now();
  await using file = await open(target);
  await file.sync();
  return { receivedMs, flushedMs: receivedMs + performance.now() - startMs, peakMb: Number.NaN };
}

async function fetchWithOurs({ url, target }: Setting): Promise<Measured> {
  await makeRoom(target);
  const script = join(import.meta.dir, "download-once.ts");
  return measuredSchema.parse(await $`${process.execPath} run ${script} ${url} ${target}`.json());
}

/** A new file each time; nothing of the one before is still being written. */
async function makeRoom(target: string): Promise<void> {
  await rm(target, { force: true });
  await rm(`${target}.json`, { force: true });
  await $`sync`;
}
