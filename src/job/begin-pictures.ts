// Whether the pictures of a job are optimised (OPTIMIZE_IMAGES), and the start of it.
import type { Logger } from "../ops/log.ts";
import { JobPictures } from "../pictures/job-pictures.ts";
import type { JobInput } from "./job-in-progress.ts";
import { hostSettings } from "./set-up/job-settings.ts";

/** As Perl has it, where the setting comes from. */
const falseValues: ReadonlySet<string | undefined> = new Set(["", "0"]);

/** Of a job whose isotovideo runs. Undefined: its pictures go out as they are. */
export function beginPictures(
  { job, settings, webUi, optimiser, stop }: JobInput,
  { isNewJob }: { readonly isNewJob: boolean },
  log: Logger,
): JobPictures | undefined {
  if (falseValues.has(hostSettings(job, settings, webUi)["OPTIMIZE_IMAGES"])) return undefined;
  const { poolDirectory, own } = settings;
  const { endDelayMs } = own.pictures;
  return new JobPictures({ poolDirectory, isNewJob, optimiser, endDelayMs, stop }, log);
}
