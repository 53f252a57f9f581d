/**
 * YAML text in and out, with the line of every key. JSON is read by the same parser. The only importer of `yaml`.
 *
 * Problems are told in words of ours: the parser's own may quote the text, and the text may hold a password.
 */
import { Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";

export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface TextProblem extends Place {
  readonly message: string;
}

export interface ParsedText {
  /** Plain data; null for an empty text. Meaningless when there are problems. */
  readonly value: unknown;
  readonly problems: readonly TextProblem[];
  readonly warnings: readonly TextProblem[];
  /** Where the deepest part of this path that exists stands; null for the whole text. */
  locate(path: readonly (string | number)[]): Place | null;
}

const WORDS: Readonly<Record<string, string>> = {
  ALIAS_PROPS: "an alias must not carry a tag or an anchor",
  BAD_ALIAS: "this alias is not valid",
  BAD_DIRECTIVE: "this directive is not valid",
  BAD_DQ_ESCAPE: "this escape is not valid inside double quotes",
  BAD_INDENT: "the indentation does not fit; or a bracket above is not closed",
  BAD_SCALAR_START: "a plain value must not begin with this sign; put it in quotes",
  BLOCK_AS_IMPLICIT_KEY: "a mapping cannot begin here; put it on a line of its own, or the value in quotes",
  BLOCK_IN_FLOW: "an indented block cannot stand inside brackets",
  MISSING_CHAR: "a comma, colon, bracket or closing quote is missing",
  MULTILINE_IMPLICIT_KEY: "a key must stand on one line; is a colon missing?",
  MULTIPLE_DOCS: "the file holds more than one document; there must be one",
  NON_STRING_KEY: "a key must be plain text",
  RESOURCE_EXHAUSTION: "nested too deeply",
  TAB_AS_INDENT: "a tab is used for indentation; use spaces",
  TAG_RESOLVE_FAILED: "this tag is not known",
  UNEXPECTED_TOKEN: "something stands here that does not belong here",
};

/** Aliases may stand for at most this many values in all, so that a few lines cannot grow without bound. */
const MAX_ALIASES = 100;

export function parseText(text: string): ParsedText {
  const lines = new LineCounter();
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  try {
    const document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      stringKeys: true,
      logLevel: "error",
    });
    const problems = document.errors.map(({ code, pos }) => ({
      ...place(pos[0]),
      message:
        code === "DUPLICATE_KEY"
          ? `the key '${keyAt(text, pos[0])}' stands twice`
          : (WORDS[code] ?? "this is not valid YAML"),
    }));
    const warnings = document.warnings.map(({ pos }) => ({ ...place(pos[0]), message: "a tag that is not known" }));
    const value = problems.length > 0 ? null : (document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown);
    return { value, problems, warnings, locate: (path) => locate(document, path, place) };
  } catch (cause) {
    // Only the parser's own limits end here: the stack (nesting), aliases that point nowhere or multiply.
    const message =
      cause instanceof RangeError
        ? "nested too deeply"
        : "an alias (*name) has no anchor (&name) before it, or aliases multiply without bound";
    return { value: null, problems: [{ line: 1, column: 1, message }], warnings: [], locate: () => null };
  }
}

function keyAt(text: string, offset: number): string {
  return (/^["']?([^"':\s]{1,60})/.exec(text.slice(offset, offset + 80))?.[1] ?? "?").slice(0, 60);
}

function locate(
  document: Document.Parsed,
  path: readonly (string | number)[],
  place: (offset: number) => Place,
): Place | null {
  let node: unknown = document.contents;
  let found: number | undefined;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => (isScalar(key) ? String(key.value) : key) === String(step));
      if (pair === undefined) break;
      found = isScalar(pair.key) ? pair.key.range?.[0] : found;
      node = pair.value;
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(step)];
      if (item === undefined) break;
      found = (item as { range?: [number, number, number] }).range?.[0] ?? found;
      node = item;
    } else break;
  }
  return found === undefined ? null : place(found);
}

/** Data as YAML text, long strings unfolded. `remark` gives the comment at the end of a value's line. */
export function toYaml(value: unknown, remark?: (path: readonly (string | number)[]) => string | undefined): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  if (remark !== undefined) addRemarks(document.contents, [], remark);
  const text = document.toString({ lineWidth: 0, flowCollectionPadding: false });
  // The writer puts an empty list with a remark on three lines.
  return text.replace(/:\n +(\[\]|\{\})\n +(#[^\n]*)/g, ": $1 $2");
}

function addRemarks(
  node: unknown,
  path: readonly (string | number)[],
  remark: (path: readonly (string | number)[]) => string | undefined,
): void {
  if (isMap(node)) {
    for (const { key, value } of node.items)
      addRemarks(value, [...path, String(isScalar(key) ? key.value : key)], remark);
  } else if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) addRemarks(item, [...path, index], remark);
  }
  const isLeaf = isScalar(node) || ((isMap(node) || isSeq(node)) && node.items.length === 0);
  const text = isLeaf ? remark(path) : undefined;
  if (isLeaf && text !== undefined) node.comment = ` ${text}`;
}
