// Numbers of bytes for people.

const units = ["Byte", "KiB", "MiB", "GiB", "TiB"];

/** As in "4.2 GiB". */
export function byteText(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const number = bytes / 1024 ** power;
  return `${power === 0 ? Math.round(number) : number.toFixed(number < 10 ? 1 : 0)} ${units[power]}`;
}
