// Where things are in a slot's spool.
import { join } from "node:path";

export interface SpoolFolders {
  /** Entries that wait for delivery, and those that are being made. */
  readonly waiting: string;
  /** What web UIs do not take. */
  readonly refused: string;
  /** What is being removed. */
  readonly removed: string;
}

export function spoolFolders(directory: string): SpoolFolders {
  return {
    waiting: join(directory, "waiting"),
    refused: join(directory, "refused"),
    removed: join(directory, "removed"),
  };
}
