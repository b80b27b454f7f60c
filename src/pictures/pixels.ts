// A decoded picture.

export interface Pixels {
  readonly width: number;
  readonly height: number;
  /** Bytes per pixel: red, green, blue, and alpha if there is any. */
  readonly channels: 3 | 4;
  /** Row by row, without gaps. */
  readonly bytes: Uint8Array;
}
