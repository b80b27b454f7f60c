// The start throttle (LOCK_NAME, protocol 3.4): at most so many jobs of this worker's slots start at the same time, over
// all its processes. A permit is a locked byte of one file, so it dies with its holder.
import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { ThrottleSettings } from "../../config/settings.ts";
import { countLockedBytes, type OfdLock, tryLockFreeByte } from "../../process/ofd-lock.ts";

const maxPermitMs = 3_600_000;

export interface StartPermit {
  /** isotovideo has started: the permit is over a while (LOCK_EXPIRATION) from now. */
  started(): void;
  /** A second call does no harm. */
  release(): Promise<void>;
}

/** Of a slot that is not throttled. */
export const freePermit: StartPermit = { started: () => {}, release: async () => {} };

export class StartThrottle {
  private readonly file: string;

  /** `folder` is shared by all slots of the host; it is made when missing. */
  constructor(
    private readonly settings: ThrottleSettings,
    private readonly folder: string,
    private readonly limits: { readonly maxPermitMs: number } = { maxPermitMs },
  ) {
    // A name of bounded length, whatever LOCK_NAME has in it.
    const hash = createHash("sha256").update(settings.name).digest("hex").slice(0, 32);
    this.file = join(folder, `start-throttle-${hash}`);
  }

  /** Undefined: none is free. Throws when the file of permits cannot be used. */
  async take(): Promise<StartPermit | undefined> {
    await mkdir(this.folder, { recursive: true, mode: 0o755 });
    const lock = await tryLockFreeByte(this.file, Array(this.settings.limit).keys());
    return lock && new LockedPermit(lock, this.limits.maxPermitMs, this.settings.expirationMs);
  }

  /** Throws as `take`. */
  async hasRoom(): Promise<boolean> {
    const { limit } = this.settings;
    return (await countLockedBytes(this.file, { start: 0, length: limit })) < limit;
  }
}

class LockedPermit implements StartPermit {
  private timer: ReturnType<typeof setTimeout>;
  private readonly endsAtMs: number;

  constructor(
    private readonly lock: OfdLock,
    maxMs: number,
    private readonly expirationMs: number,
  ) {
    this.endsAtMs = performance.now() + maxMs;
    this.timer = this.expireIn(maxMs);
  }

  started(): void {
    const leftMs = this.endsAtMs - performance.now();
    clearTimeout(this.timer);
    // After a release this one finds nothing to do.
    this.timer = this.expireIn(Math.max(0, Math.min(this.expirationMs, leftMs)));
  }

  async release(): Promise<void> {
    clearTimeout(this.timer);
    await this.lock.release();
  }

  private expireIn(ms: number): ReturnType<typeof setTimeout> {
    // Nothing is left to be done about a descriptor that cannot be closed.
    return setTimeout(() => void this.release().catch(() => {}), ms);
  }
}
