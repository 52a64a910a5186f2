// Numbers for people.

/** Bytes in the unit that suits them. */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toPrecision(3)} KiB`;
  return `${digits(bytes / 1024 / 1024)} MiB`;
}

/** A time in milliseconds, with its unit. */
export function duration(milliseconds) {
  return milliseconds < 1000 ? `${digits(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}

/** Three digits that count, without an exponent. */
export function digits(value) {
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
