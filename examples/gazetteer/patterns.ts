/** What a pattern finds: identifiers of people, places and times. Their ids double as the labels of a de-identification model. */
export interface Pattern {
  readonly id: string;
  readonly name: string;
  readonly find: RegExp;
  /** A second look at what the expression matched; without it every match counts. */
  readonly accept?: (matched: string) => boolean;
}

export const PATTERN_CATEGORY = "identifier";

const MONTH =
  "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)";
const NAME_WORD = "\\p{Lu}[\\p{L}\\p{M}'’-]*";

/** Every expression is global and bounded, so that hostile text cannot make it slow. */
export const PATTERNS: readonly Pattern[] = [
  {
    id: "DATE",
    name: "Date",
    find: new RegExp(
      [
        `\\b\\d{1,2}(?:st|nd|rd|th)?\\s(?:of\\s)?${MONTH},?\\s\\d{4}\\b`,
        `\\b${MONTH}\\s\\d{1,2}(?:st|nd|rd|th)?,?\\s\\d{4}\\b`,
        "(?<![\\d/.-])\\d{4}-\\d{2}-\\d{2}(?![\\d-])",
        "(?<![\\d/.-])\\d{1,2}([/.-])\\d{1,2}\\1(?:\\d{4}|\\d{2})(?![\\d/-])",
      ].join("|"),
      "giu",
    ),
    accept: isCalendarDate,
  },
  {
    id: "PHONE",
    name: "Phone number",
    find: /(?<![\d+])(?:\+44[ -]?(?:\(0\)[ -]?)?|\(?0)\d(?:[ -]?\)?[ -]?\d){8,9}(?!\d)/gu,
  },
  {
    id: "NHS_NUMBER",
    name: "NHS number",
    find: /(?<![\d+])(?<!\d[ -])\d{3}([ -]?)\d{3}\1\d{4}(?![ -]?\d)/gu,
    accept: isNhsNumber,
  },
  {
    id: "EMAIL",
    name: "E-mail address",
    find: /(?<![\p{L}\p{N}._%+-])[A-Z0-9][A-Z0-9._%+-]{0,63}@(?:[A-Z0-9-]{1,63}\.){1,8}[A-Z]{2,24}(?![\p{L}\p{N}-])/giu,
  },
  {
    id: "POSTCODE",
    name: "Postcode",
    find: /\b(?:GIR ?0AA|[A-PR-UWYZ](?:\d{1,2}|[A-HK-Y]\d{1,2}|\d[A-HJKPSTUW]|[A-HK-Y]\d[ABEHMNPRV-Y]) ?\d[ABD-HJLNP-UW-Z]{2})\b/gu,
  },
  {
    id: "NAME",
    name: "Person name",
    find: new RegExp(
      `(?<![\\p{L}\\p{N}])(?:Dr|Mr|Mrs|Ms|Miss|Mx|Prof|Professor|Sir|Nurse|Sister)\\.?[ \\t]${NAME_WORD}(?:[ \\t]${NAME_WORD}){0,2}`,
      "gu",
    ),
  },
];

/**
 * Ten digits whose last is the modulus-11 check digit of the others: weights 10 down to 2, 11 minus the remainder; 11 counts as 0
 * and 10 is never issued.
 */
export function isNhsNumber(written: string): boolean {
  const digits = [...written.replace(/\D/gu, "")].map(Number);
  if (digits.length !== 10) return false;
  const sum = digits.slice(0, 9).reduce((total, digit, index) => total + digit * (10 - index), 0);
  const check = (11 - (sum % 11)) % 11;
  return check !== 10 && check === digits[9];
}

/** Refuses 45/13/2021 and the like; dates in words are taken as they are. Day and month may come in either order. */
export function isCalendarDate(written: string): boolean {
  const numbers = written.split(/[/.-]/u).map(Number);
  if (numbers.length !== 3 || numbers.some(Number.isNaN)) return true;
  const [first = 0, second = 0, third = 0] = numbers;
  const [low, high] = first > 31 ? [second, third] : [Math.min(first, second), Math.max(first, second)];
  return low >= 1 && low <= 12 && high >= 1 && high <= 31;
}
