/** Fills `{name} {model_uri} {model_path} {model_type} {port} {registry_url}` into a command, argument by argument. Pure; there is never a shell. */
import type { PLACEHOLDERS } from "../../config/sections/values.js";

/** What a start fills in; the folder Sluice is installed in is filled in when the configuration is loaded. */
export type Placeholder = Exclude<(typeof PLACEHOLDERS)[number], "sluice_home">;
export type PlaceholderValues = Readonly<Record<Placeholder, string>>;

/** A word in braces; the configuration has refused those that are no placeholders. */
const PATTERN = /\{([A-Za-z_]+)\}/g;

/** One pass: what a value holds is never looked at again. */
export function fillIn(text: string, values: PlaceholderValues): string {
  return text.replace(PATTERN, (whole, word: string) =>
    Object.hasOwn(values, word) ? values[word as Placeholder] : whole,
  );
}

/** Whether a command or one of its variables holds it. */
export function isNamed(
  word: Placeholder,
  { command, env }: { readonly command: readonly string[]; readonly env: Readonly<Record<string, string>> },
): boolean {
  return [...command, ...Object.values(env)].some((text) => text.includes(`{${word}}`));
}
