/** Where a text stops being JSON: the engine's own message names no place for every fault, and quotes the text. Pure. */

const TOKEN =
  /[{}[\]:,]|"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/uy;
const BLANKS = /[ \t\n\r]*/y;

/** What may come next. */
type Next = "value" | "value or ]" | "name" | "name or }" | ":" | ", or end";

/** How many characters of a text that is not JSON could be its beginning. */
export function jsonFaultAt(text: string): number {
  const open: ("{" | "[")[] = [];
  let next: Next = "value";
  let at = 0;
  for (;;) {
    at += match(BLANKS, text, at).length;
    const token = match(TOKEN, text, at);
    const after: Next | null = token === "" ? null : follow(token, next, open);
    if (after === null) return at;
    next = after;
    at += token.length;
  }
}

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}

/** What may follow the token; null when it may not stand there. Keeps the list of what is open. */
function follow(token: string, next: Next, open: ("{" | "[")[]): Next | null {
  const inside = open.at(-1);
  if (token === "]" || token === "}") {
    const fits = inside === (token === "]" ? "[" : "{") && (next === ", or end" || next.endsWith(`or ${token}`));
    if (fits) open.pop();
    return fits ? ", or end" : null;
  }
  if (token === ",") return next === ", or end" && inside !== undefined ? (inside === "[" ? "value" : "name") : null;
  if (token === ":") return next === ":" ? "value" : null;
  if (next === "name" || next === "name or }") return token.startsWith('"') ? ":" : null;
  if (next === ":" || next === ", or end") return null;
  if (token !== "{" && token !== "[") return ", or end";
  open.push(token);
  return token === "{" ? "name or }" : "value or ]";
}
