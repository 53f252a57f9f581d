/** Timestamps in Cogment's files: RFC 3339 with up to nine digits of a second and a zone offset, to nanoseconds and back. Pure. */

const NANOS = 1_000_000_000n;

/** Also the shorter forms that YAML 1.1 knows: blanks for the `T`, no zone (then it is UTC), the day alone. */
const TIMESTAMP =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:(?:[Tt]|[ \t]+)(\d{1,2}):(\d{2}):(\d{2})(?:\.(\d{0,9})\d*)?[ \t]*(Z|[+-]\d{1,2}(?::?\d{2})?)?)?$/;

/**
 * @returns nanoseconds since 1970 as the wire carries them, in 64 bits without a sign: what lies before 1970 wraps around, as with
 *   Cogment; null for text that is no timestamp
 */
export function readTimestamp(text: string): bigint | null {
  const match = TIMESTAMP.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? "0"));
  if (hour! > 23 || minute! > 59 || second! > 59) return null;
  const days = new Date(0);
  days.setUTCFullYear(year!, month! - 1, day!);
  if (days.getUTCMonth() !== month! - 1 || days.getUTCDate() !== day!) return null;
  const offsetMinutes = readOffset(match[8]);
  if (offsetMinutes === null) return null;
  const seconds = BigInt(days.getTime() / 1_000 + hour! * 3_600 + (minute! - offsetMinutes) * 60 + second!);
  return BigInt.asUintN(64, seconds * NANOS + BigInt((match[7] ?? "").padEnd(9, "0")));
}

function readOffset(text: string | undefined): number | null {
  if (text === undefined || text === "Z") return 0;
  const [, sign, hours, minutes] = /^([+-])(\d{1,2}):?(\d{2})?$/.exec(text)!;
  if (Number(hours) > 23 || Number(minutes ?? 0) > 59) return null;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes ?? 0));
}

/** In UTC, the fraction without zeros at its end. @param nanoseconds as the wire carries them, 0 to 2^64-1 */
export function writeTimestamp(nanoseconds: bigint): string {
  const signed = BigInt.asIntN(64, nanoseconds);
  const fraction = ((signed % NANOS) + NANOS) % NANOS;
  const seconds = (signed - fraction) / NANOS;
  const digits = String(fraction).padStart(9, "0").replace(/0+$/, "");
  const toTheSecond = new Date(Number(seconds) * 1_000).toISOString().slice(0, 19);
  return `${toTheSecond}${digits === "" ? "" : `.${digits}`}Z`;
}
