// What goes up for a picture of a job: uploads ask here, and need not know of what makes pictures smaller.

export interface PictureSource {
  /**
   * Path in the pool of the file that goes up for a picture or thumbnail of the pool: a smaller copy, or itself. May take
   * its time. Throws the signal's reason when that is aborted.
   */
  smallest(inPool: string, signal: AbortSignal): Promise<string>;
  /** The server has got what goes up for this one. */
  uploaded(inPool: string): void;
}

export const picturesAsTheyAre: PictureSource = {
  smallest: async (inPool) => inPool,
  uploaded: () => {},
};
