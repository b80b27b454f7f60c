// A slot that the start throttle has refused: it stays unavailable for as long as it still would be (protocol 3.3
// no. 7), and tells when that is over.
import type { Settings } from "../../config/settings.ts";
import type { Context } from "../../context.ts";
import { errorText } from "../../errors.ts";
import { sleep } from "../../sleep.ts";
import { freePermit, type StartPermit, type StartThrottle } from "./start-throttle.ts";

export interface LimitedPlace {
  readonly settings: Pick<Settings, "throttle" | "ephemeralRecheckIntervalMs">;
  /** Undefined: starts are not throttled. */
  readonly throttle: StartThrottle | undefined;
  /** Called when the slot was refused and would not be any more. */
  readonly onRoom: () => void;
}

export class StartLimit {
  /** While the slot is refused: aborted when it is not any more. */
  private refused: AbortController | undefined;

  constructor(
    private readonly place: LimitedPlace,
    private readonly context: Context,
  ) {}

  /** A permit, or why there is none. */
  async take(): Promise<StartPermit | string> {
    const { throttle } = this.place;
    if (!throttle) return freePermit;
    const taken = await throttle.take().catch((error: unknown) => this.reason(error));
    if (typeof taken === "object") {
      this.refused?.abort();
      this.refused = undefined;
      return taken;
    }
    this.awaitRoom(throttle);
    return taken ?? this.reason();
  }

  /** Why the slot that was refused still would be; undefined: it would not, or never was. */
  async findProblem(): Promise<string | undefined> {
    const { throttle } = this.place;
    return throttle && this.refused ? await this.look(throttle) : undefined;
  }

  private awaitRoom(throttle: StartThrottle): void {
    if (this.refused) return;
    const refused = new AbortController();
    this.refused = refused;
    const signal = AbortSignal.any([this.context.signal, refused.signal]);
    void this.recheck(throttle, signal).then((hasRoom) => {
      if (!hasRoom || signal.aborted) return;
      this.refused = undefined;
      this.place.onRoom();
    });
  }

  /** Never rejects. Resolves when there is room, or with false when nobody wants to know any more. */
  private async recheck(throttle: StartThrottle, signal: AbortSignal): Promise<boolean> {
    do
      try {
        // Another process may have the permits: it does not tell.
        await sleep(this.place.settings.ephemeralRecheckIntervalMs, signal);
      } catch {
        return false;
      }
    while ((await this.look(throttle)) !== undefined);
    return true;
  }

  private async look(throttle: StartThrottle): Promise<string | undefined> {
    try {
      return (await throttle.hasRoom()) ? undefined : this.reason();
    } catch (error) {
      return this.reason(error);
    }
  }

  private reason(error?: unknown): string {
    const why = error === undefined ? "" : ` (${errorText(error)})`;
    return `Limited by configured lock '${this.place.settings.throttle?.name}'${why}`;
  }
}
