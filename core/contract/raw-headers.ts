/** Reading header fields that are kept as they came: name, value, name, value. Names are compared without case. */
import type { RawHeaders } from "./tasks.js";

export function* fieldsOf(headers: RawHeaders): Generator<[name: string, value: string], void> {
  for (let index = 0; index + 1 < headers.length; index += 2) yield [headers[index]!, headers[index + 1]!];
}

/** Every value of one name, in order. @param wanted in lower case */
export function valuesOf(headers: RawHeaders, wanted: string): string[] {
  const values: string[] = [];
  for (const [name, value] of fieldsOf(headers)) if (name.toLowerCase() === wanted) values.push(value);
  return values;
}

/** The fields whose name, in lower case, is wanted; byte for byte and in order. */
export function fieldsWhere(headers: RawHeaders, isWanted: (name: string) => boolean): string[] {
  const kept: string[] = [];
  for (const [name, value] of fieldsOf(headers)) if (isWanted(name.toLowerCase())) kept.push(name, value);
  return kept;
}
