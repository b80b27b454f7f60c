// Powers the machine under test off while no job runs (IPMI_* keys, protocol 1.3).
import type { IpmiSettings } from "../config/settings.ts";
import type { Context, Program } from "../context.ts";
import { errorText } from "../errors.ts";
import { splitShellWords } from "../process/shell-words.ts";
import { sleep } from "../sleep.ts";
import { runHostCommand } from "./host-command.ts";

const maxPowerOffMs = 60_000;
/** Of the output only the end is logged. */
const maxLoggedBytes = 4096;

export class IdlePowerOff {
  /** Aborted when the idle time is over; undefined while the slot is busy. */
  private idling: AbortController | undefined;
  /** Settles when nothing of the last idle time is under way any more. */
  private over: Promise<void> = Promise.resolve();

  constructor(
    private readonly settings: IpmiSettings,
    private readonly program: Pick<Program, "env">,
    private readonly context: Context,
  ) {}

  /** The slot has no job, until `busy`. Said again, it changes nothing. */
  idle(): void {
    if (this.idling) return;
    this.idling = new AbortController();
    const signal = AbortSignal.any([this.context.signal, this.idling.signal]);
    const before = this.over;
    this.over = before.then(() => this.powerOffAgainAndAgain(signal));
  }

  /** A job begins. A power off under way, which would end it, is ended and waited for. */
  async busy(): Promise<void> {
    this.idling?.abort();
    this.idling = undefined;
    await this.over;
  }

  /** Never rejects. */
  private async powerOffAgainAndAgain(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await sleep(this.settings.shutdownIntervalMs, signal);
        await this.powerOff(signal);
      }
    } catch (error) {
      if (!signal.aborted) this.failed(errorText(error));
    }
  }

  /** Throws the signal's reason when that is aborted; else failures are only logged. */
  private async powerOff(signal: AbortSignal): Promise<void> {
    const { hostname, user, password, options } = this.settings;
    const words = splitShellWords(options);
    if (!words) return this.failed("IPMI_OPTIONS has a quote without an end");
    const flags = [...words, "-H", hostname, "-U", user, "-E", "chassis", "power", "off"];
    const command = {
      program: "ipmitool",
      flags,
      // Lists of processes show flags to everybody.
      environment: { IPMI_PASSWORD: password },
      maxMs: maxPowerOffMs,
      maxOutputBytes: maxLoggedBytes,
    };
    try {
      const { problem, output, isMissing } = await runHostCommand(command, this.program, signal);
      if (isMissing) this.failed("ipmitool is not installed (install the package ipmitool)");
      else if (problem === undefined) this.context.log.debug(`Powered ${hostname} off: there is no job`);
      else this.failed(`ipmitool: ${problem} ${output}`);
    } catch (error) {
      signal.throwIfAborted();
      this.failed(errorText(error));
    }
  }

  private failed(why: string): void {
    const { hostname, password } = this.settings;
    this.context.log.warn(`Unable to power ${hostname} off: ${why}`.trim().replaceAll(password, "[masked]"));
  }
}
