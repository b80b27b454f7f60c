// What the logs of a job are called in its pool and on the server (protocol 8.1 step 3).

/** Logs that every line about the others still goes into: they come last; the last line of the last one is its own. */
export const lastLogs: readonly string[] = ["worker-log.txt", "autoinst-log.txt"];

/** Name in the pool, and name on the server where that is another. Of several for one name the last counts. */
export const otherLogs: readonly (readonly [string, string?])[] = [
  ["worker_packages.txt"],
  ["sut_packages.txt"],
  ["vars.json"],
  ["serial0", "serial0.txt"],
  ["video_time.vtt"],
  ["serial_terminal.txt"],
  ["virtio_console.log", "serial_terminal.txt"],
  ["virtio_console1.log", "serial_terminal1.txt"],
  ["virtio_console_user.log", "serial_terminal_user.txt"],
];

/** Whether a file at the top of the pool is one of the job's logs. */
export function isJobLog(name: string): boolean {
  return isVideo(name) || isOtherLog(name) || lastLogs.includes(name);
}

export function isVideo(name: string): boolean {
  return name.startsWith("video.");
}

export function isOtherLog(name: string): boolean {
  return otherLogs.some(([inPool]) => inPool === name);
}
