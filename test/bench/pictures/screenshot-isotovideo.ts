// Installs what stands in for isotovideo in jobs with many screenshots, and its pictures, on a server.
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { jobSettings } from "../../e2e/jobs.ts";
import { makeFolders } from "../../e2e/processes.ts";
import type { OpenqaServer } from "../../e2e/server.ts";
import { workerUser } from "../../e2e/users.ts";
import { installWrapper } from "../timing.ts";
import type { PictureKind, PictureSet } from "./picture-set.ts";

const script = fileURLToPath(new URL("isotovideo-screenshots", import.meta.url));

export interface ScreenshotJob {
  /** Modules of these kinds take turns. */
  readonly kinds: readonly PictureKind[];
  readonly pictures: number;
  readonly modules: number;
  readonly seconds: number;
  /** They are made before, and appear in that time before the end. */
  readonly isAtEnd: boolean;
}

export class ScreenshotIsotovideo {
  private constructor(
    private readonly server: OpenqaServer,
    private readonly command: string,
    private readonly sources: Readonly<Record<PictureKind, string>>,
  ) {}

  static async install(server: OpenqaServer, sets: readonly PictureSet[]): Promise<ScreenshotIsotovideo> {
    const sources = { desktop: join(server.folder, "desktop"), textmode: join(server.folder, "textmode") };
    await makeFolders(undefined, ...Object.values(sources));
    await makeFolders(workerUser, join(server.folder, "kept"));
    for (const { kind, origin, folder, names } of sets)
      for (const name of names) await cp(join(folder, name), join(sources[kind], `${origin}-${name}`));
    const copy = join(server.folder, "isotovideo-screenshots");
    await cp(script, copy);
    return new ScreenshotIsotovideo(server, await installWrapper(server, copy), sources);
  }

  settings(workerClass: string, job: ScreenshotJob): Record<string, string> {
    return {
      ...jobSettings("quick", workerClass),
      ISOTOVIDEO: this.command,
      BENCH_SOURCES: job.kinds.map((kind) => this.sources[kind]).join(":"),
      BENCH_PICTURES: String(job.pictures),
      BENCH_MODULES: String(job.modules),
      BENCH_SECONDS: String(job.seconds),
      BENCH_KEPT: join(this.server.folder, "kept"),
      ...(job.isAtEnd ? { BENCH_AT_END: "1" } : {}),
    };
  }

  /** Each 25th picture as it was written, in `.thumbs` its thumbnail. */
  keptFolder(job: number): string {
    return join(this.server.folder, "kept", String(job).padStart(8, "0"));
  }
}
