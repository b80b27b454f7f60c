// The reporter of a job, made from its record: of one that runs here and of one that an earlier start has left.
import type { Settings } from "../config/settings.ts";
import { Audience } from "../results/audience.ts";
import type { PictureSource } from "../results/picture-source.ts";
import { Reporter } from "../results/reporter.ts";
import type { WebUi } from "../webui/web-ui.ts";
import type { JobRecord } from "./job-record.ts";

/** Goes on from what the record says that the server has been told. */
export function reporterOf(
  record: JobRecord,
  target: {
    readonly jobId: string;
    readonly webUi: WebUi;
    readonly settings: Settings;
    readonly audience?: Audience;
    /** Default: pictures go out as they are. */
    readonly pictures?: PictureSource;
  },
): Reporter {
  const { run, workerId, reported, shown } = record.state;
  return new Reporter({
    audience: new Audience(),
    ...target,
    poolDirectory: record.directory,
    fixed: {
      worker_id: target.webUi.workerId ?? workerId,
      cmd_srv_url: run?.commandServerUrl ?? "",
      worker_hostname: run?.workerHostname ?? "",
    },
    ...(reported && { reported }),
    onReported: (progress) => void record.reported(progress),
    ...(shown && { shown }),
    onShown: (place) => void record.shown(place),
  });
}
