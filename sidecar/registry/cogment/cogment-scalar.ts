/**
 * Strings as Cogment's YAML writer puts them: plain where they read back as themselves under YAML 1.1, in double quotes where they would
 * read as another type or hold what cannot be printed, in single quotes where a sign would mislead, as literal blocks where they have
 * lines. Long ones are not folded, which reads the same. Pure.
 */

/** Words that YAML 1.1 takes for a boolean, nothing, a merge or a number that is none. */
const WORDS = /^(?:|y|n|yes|no|on|off|true|false|~|null|<<|=|[-+]?\.inf|\.nan)$/i;
const INTEGER = /^[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-f_]+|[0-9][0-9_]*)$/i;
const FLOAT = /^[-+]?(?:\.[0-9_]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:e[-+]?[0-9]+)?$/i;
/** `1:20` is 80 in YAML 1.1. */
const BASE_60 = /^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$/;
const DATE = /^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:$|[Tt \t])/;

/** Not printable in YAML, or a line break to YAML 1.1 alone. */
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/;
const UNPRINTABLES = new RegExp(UNPRINTABLE, "g");
/** A sign that means something at the beginning, or `: ` and ` #` within. */
const MISLEADING = /^[-?:](?:$|\s)|^[,[\]{}#&*!|>'"%@`]|^(?:---|\.\.\.)|: |:$| #|^\s|\s$/;

export function isReadAsOtherType(text: string): boolean {
  return [WORDS, INTEGER, FLOAT, BASE_60, DATE].some((form) => form.test(text));
}

/** On one line, after `key: ` or as a key. */
export function lineScalar(text: string): string {
  if (UNPRINTABLE.test(text) || text.includes("\n") || isReadAsOtherType(text)) return doubleQuoted(text);
  return MISLEADING.test(text) ? `'${text.replaceAll("'", "''")}'` : text;
}

/** After `key: `, on as many lines as it has. @param indent of the key, in blanks */
export function valueScalar(text: string, indent: number): string {
  const isBlock = text.includes("\n") && !UNPRINTABLE.test(text) && !/ (?:\n|$)/.test(text);
  if (!isBlock) return lineScalar(text);
  const hint = /^[ \n]/.test(text) ? "2" : "";
  const keep = text.endsWith("\n") ? (/(?:^|\n)\n$/.test(text) ? "+" : "") : "-";
  const lines = text.replace(/\n$/, "").split("\n");
  const margin = " ".repeat(indent + 2);
  return [`|${hint}${keep}`, ...lines.map((line) => (line === "" ? "" : margin + line))].join("\n");
}

function doubleQuoted(text: string): string {
  const escaped = text
    .replace(/["\\]/g, "\\$&")
    .replaceAll("\n", "\\n")
    .replaceAll("\t", "\\t")
    .replaceAll("\r", "\\r");
  return `"${escaped.replace(UNPRINTABLES, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;
}
