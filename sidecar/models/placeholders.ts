/** Fills `{name} {model_uri} {model_path} {model_type} {port}` into a command, argument by argument. Pure; there is never a shell. */

export const PLACEHOLDERS = ["name", "model_uri", "model_path", "model_type", "port"] as const;
export type Placeholder = (typeof PLACEHOLDERS)[number];
export type PlaceholderValues = Readonly<Record<Placeholder, string>>;

/** A lower-case word in braces; anything else in braces (JSON, `${VAR}` forms in capitals) is plain text. */
const PATTERN = /\{([a-z][a-z_]*)\}/g;

/** What stands in braces in these texts and is none of {@link PLACEHOLDERS}, each once. */
export function unknownPlaceholders(texts: Iterable<string>): string[] {
  const unknown = new Set<string>();
  for (const text of texts) {
    for (const [, word] of text.matchAll(PATTERN)) {
      if (!(PLACEHOLDERS as readonly string[]).includes(word!)) unknown.add(word!);
    }
  }
  return [...unknown];
}

/** One pass: what a value holds is never looked at again. */
export function fillIn(text: string, values: PlaceholderValues): string {
  return text.replace(PATTERN, (whole, word: string) =>
    Object.hasOwn(values, word) ? values[word as Placeholder] : whole,
  );
}
