// `GET /influxdb/minion` in the words of the stock cache service (protocol 6): monitoring reads them. Pure.
import type { ServiceInfo } from "./service-protocol.ts";

/** `downloads`: those under way. */
export function metricsText(
  url: string,
  info: ServiceInfo,
  downloads: number,
  downloadRateBytesPerS: number | undefined,
): string {
  const jobs = {
    active: info.active_jobs,
    delayed: info.delayed_jobs,
    failed: info.failed_jobs,
    inactive: info.inactive_jobs,
  };
  const workers = { active: info.active_workers, inactive: info.inactive_workers, registered: info.workers };
  const measures: [string, Record<string, number>][] = [
    ["openqa_minion_jobs", jobs],
    ["openqa_minion_workers", workers],
    ["openqa_download_count", { count: downloads }],
  ];
  if (downloadRateBytesPerS !== undefined)
    measures.push(["openqa_download_rate", { bytes: Math.floor(downloadRateBytesPerS) }]);
  return measures.map(([name, values]) => `${name},url=${url} ${fieldsOf(values)}\n`).join("");
}

function fieldsOf(values: Record<string, number>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${value}i`)
    .join(",");
}
