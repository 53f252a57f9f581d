/** How CMG's clients may write a boolean and a whole number: in a query always as text, in JSON also as text. Pure. */

const TRUE: ReadonlySet<string> = new Set(["true", "t", "yes", "y", "on", "1"]);
const FALSE: ReadonlySet<string> = new Set(["false", "f", "no", "n", "off", "0"]);

/** Null when the text is neither. */
export function booleanOf(text: string): boolean | null {
  const word = text.toLowerCase();
  if (TRUE.has(word)) return true;
  return FALSE.has(word) ? false : null;
}

/** A whole number of up to 15 digits, so that it is exact; null for any other text. */
export function integerOf(text: string): number | null {
  return /^\s*[+-]?\d{1,15}(?:\.0*)?\s*$/.test(text) ? Number(text) : null;
}
