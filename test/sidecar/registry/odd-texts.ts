/** Strings that a writer of YAML may get wrong. */
import type { Random } from "../../simulation/random.js";

export const ODD_TEXTS: readonly string[] = [
  ...[
    "",
    " ",
    "~",
    "null",
    "true",
    "Yes",
    "y",
    "n",
    "off",
    "=",
    "<<",
    "1",
    "-7",
    "0x1F",
    "0b1",
    "010",
    "1_000",
    "1.5",
    ".5",
    "1e3",
  ],
  ...[".inf", "-.inf", ".nan", "1:20", "2020-01-01", "2020-01-01T01:02:03Z", "2020-1-1 note", "1.2.3", "12 mg"],
  ...[
    "a: b",
    "a #b",
    "#a",
    "a:",
    ":a",
    "- a",
    "-",
    "--- a",
    "...",
    "? a",
    "?",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a",
    "|",
    ">",
    "'",
    '"',
    "it's",
  ],
  ...['say "so"', "[a]", "{a: b}", "a, b", "a]", "C:\\data", " lead", "trail ", "\t", "a\tb", "tab\t", "\\n"],
  ...[
    "one\ntwo",
    "one\n",
    "one\n\n",
    "one\n\n\n",
    "\n",
    "\n\n",
    "\none",
    " one\ntwo",
    "one\n two",
    "one \ntwo",
    "one\n\ttwo",
    "one\r\ntwo",
    "a\rb",
  ],
  ...["# a\nb", "- a\n- b", "a: b\nc: d\n", "\n  one", "one\n---\ntwo\n", "one\n...\n"],
  ...[
    "\u0000",
    "\u0007",
    "a\u0085b",
    "a\u2028b",
    "\u2029",
    "\ufeffa",
    "\u00a0",
    "é",
    "日本",
    "😀",
    "😀: x",
    "\u007f",
    "a\uffffb",
  ],
  ...["x".repeat(200), `${"word ".repeat(40)}end`, `${"word ".repeat(40)}\nend`, "__proto__", "constructor"],
];

/** From the parts above and their signs. */
export function oddText(random: Random): string {
  const parts = random.whole(0, 3);
  let text = random.pick(ODD_TEXTS);
  for (let index = 0; index < parts; index++) text += random.pick(ODD_TEXTS).slice(0, random.whole(1, 6));
  // Half a character is no text on any wire.
  return Buffer.from(text).toString();
}
