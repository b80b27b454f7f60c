// The settings of a job with those of its host laid over them (protocol 4.1, steps 1 to 3). Placeholders stay as they
// are; commands and time limits are taken from these.
import type { Settings } from "../../config/settings.ts";
import type { WebUi } from "../../webui/web-ui.ts";
import type { Job } from "../job.ts";

export type JobSettings = Readonly<Record<string, string>>;

/** Only the configuration of a host may set these: they name commands and folders of it. */
const hostOnly = ["GENERAL_HW_CMD_DIR", "GIT_CACHE_DIR", "GIT_CACHE_DIR_LIMIT", "SYNC_ASSETS_HOOK"];
const hostOnlyPrefix = "EXTERNAL_VIDEO_ENCODER";

/** What `job.json` has. */
export function hostSettings(
  job: Job,
  settings: Settings,
  webUi: { readonly host: Pick<WebUi["host"], "name"> },
): JobSettings {
  const given = Object.entries(job.settings).filter(
    ([name]) => !hostOnly.includes(name) && !name.startsWith(hostOnlyPrefix),
  );
  return {
    ...Object.fromEntries(given),
    ...settings.jobSettings,
    QEMUPORT: String(settings.instance * 10 + 20002),
    VNC: String(settings.instance + settings.vncPortOffset),
    OPENQA_HOSTNAME: hostAndPort(webUi.host.name),
  };
}

/** The settings for isotovideo: also what tells it who and where it is, unless that is set already. */
export function isotovideoSettings(
  jobSettings: JobSettings,
  settings: Settings,
  webUi: Pick<WebUi, "host" | "workerId">,
): JobSettings {
  return {
    OPENQA_URL: webUi.host.name,
    WORKER_INSTANCE: String(settings.instance),
    ...(webUi.workerId !== undefined && { WORKER_ID: String(webUi.workerId) }),
    ...jobSettings,
  };
}

/** Address of isotovideo's command server (protocol 4.5). */
export function commandServerUrl(jobSettings: JobSettings): string {
  const port = Number(jobSettings["QEMUPORT"]) + 1;
  return `http://localhost:${port}/${jobSettings["JOBTOKEN"] ?? ""}`;
}

/** Of an entry of HOST, which may be a URL. */
function hostAndPort(entry: string): string {
  return entry.replace(/^[^/]*:\/\//, "").replace(/\/.*$/, "");
}
