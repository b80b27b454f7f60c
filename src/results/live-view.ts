// What viewers of a running job see: its logs and its screen, as far as the server has not got them yet (protocol 7).
// Reads only; nothing is sent here.
import { z } from "zod";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { type LogLook, LogTail, logPlaceSchema } from "./log-tail.ts";
import { isBareName, openInside, PoolFileError, readLinkInside, readWhole } from "./pool-file.ts";

/** What a status post says on top while somebody watches. */
export interface LiveParts {
  readonly status: Readonly<Record<string, unknown>>;
  /** To be called when the server has got them: the next ones go on from there. */
  readonly taken: () => void;
}

/** While nobody watches. */
export const noLiveParts: LiveParts = { status: {}, taken: () => {} };

/** Keys of the status and the files they come from, in the order in which the server appends them. */
const logs = {
  log: "autoinst-log.txt",
  serial_log: "serial0",
  serial_terminal: "virtio_console.log",
  serial_terminal_user: "virtio_console_user.log",
};

const screenFolder = "qemuscreenshot";
/** A bigger picture of the screen is left out. */
const maxScreenBytes = 10 * 1024 * 1024;

/** How far the server has got them, as plain data: it appends, so a later start goes on from there. */
export const livePlaceSchema = z.object({ logs: z.record(z.string(), logPlaceSchema), screen: z.string() });
export type LivePlace = Readonly<z.infer<typeof livePlaceSchema>>;

interface Screen {
  readonly name: string;
  /** Base64. */
  readonly png: string;
}

export class LiveView {
  private readonly poolDirectory: string;
  private readonly tails: readonly (readonly [key: string, tail: LogTail])[];
  private lastScreen: string;
  /** Files that were warned about: each look would find the same. */
  private readonly warned = new Set<string>();

  constructor(poolDirectory: string, from?: LivePlace) {
    this.poolDirectory = poolDirectory;
    this.lastScreen = from?.screen ?? "";
    this.tails = Object.entries(logs).map(([key, name]) => [
      key,
      new LogTail(poolDirectory, name, from?.logs[key]),
    ]);
  }

  get place(): LivePlace {
    return {
      logs: Object.fromEntries(this.tails.map(([key, { place }]) => [key, place])),
      screen: this.lastScreen,
    };
  }

  async look(context: Context): Promise<LiveParts> {
    const noLook: LogLook = { piece: {}, taken: () => {} };
    const looks: [string, LogLook][] = [];
    for (const [key, tail] of this.tails)
      looks.push([key, (await this.ifReadable(tail.name, () => tail.look(), context)) ?? noLook]);
    const screen = await this.ifReadable(screenFolder, () => this.newScreen(), context);
    const pieces = looks.map(([key, { piece }]) => [key, piece] as const);
    return {
      status: { ...Object.fromEntries(pieces), ...(screen && { screen }) },
      taken: () => {
        for (const [, { taken }] of looks) taken();
        this.lastScreen = screen?.name ?? this.lastScreen;
      },
    };
  }

  /** The same name twice would make the server delete the picture. */
  private async newScreen(): Promise<Screen | undefined> {
    const name = await readLinkInside(this.poolDirectory, `${screenFolder}/last.png`);
    if (name === undefined || name === this.lastScreen) return undefined;
    if (!isBareName(name))
      throw new PoolFileError(`last.png points to "${name}", expected a file in the same folder`);
    await using file = await openInside(this.poolDirectory, `${screenFolder}/${name}`);
    return file && { name, png: (await readWhole(file, name, maxScreenBytes)).toString("base64") };
  }

  private async ifReadable<T>(
    name: string,
    read: () => Promise<T>,
    { log }: Context,
  ): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if (!this.warned.has(name)) log.warn(`Not in the live view: ${errorText(error)}`);
      this.warned.add(name);
      return undefined;
    }
  }
}
