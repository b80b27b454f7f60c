// The environment that isotovideo is started with (protocol 4.4).
import { join } from "node:path";

export interface IsotovideoEnvironment {
  /** The worker's own. */
  readonly base: Readonly<Record<string, string | undefined>>;
  readonly poolDirectory: string;
  readonly shareDirectory: string;
  /** host[:port] of the web UI, no scheme. */
  readonly openqaHostname: string;
  readonly qemuPort: number;
  readonly vnc: number;
}

/** What isotovideo's HTTP parts obey, as the stock worker hands it down. */
const mojolicious = {
  MOJO_INACTIVITY_TIMEOUT: "300",
  MOJO_CONNECT_TIMEOUT: "300",
  MOJO_REACTOR: "Mojo::Reactor::Poll",
};

/** TMPDIR in it is a folder that the caller makes. */
export function isotovideoEnvironment(values: IsotovideoEnvironment): Record<string, string> {
  const environment: Record<string, string> = {};
  // BUN_* would change what this executable does when it is called as a supervisor.
  for (const [name, value] of Object.entries(values.base))
    if (value !== undefined && !name.startsWith("BUN_") && name !== "MOJO_MAX_MESSAGE_SIZE")
      environment[name] = value;
  return {
    ...environment,
    ...mojolicious,
    TMPDIR: join(values.poolDirectory, "tmp"),
    PERL5OPT: "",
    OPENQA_SHAREDIR: values.shareDirectory,
    OPENQA_HOSTNAME: values.openqaHostname,
    QEMUPORT: String(values.qemuPort),
    VNC: String(values.vnc),
  };
}
