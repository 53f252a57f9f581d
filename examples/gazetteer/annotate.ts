import { PATTERN_CATEGORY, PATTERNS } from "./patterns.js";
import type { Term } from "./terms.js";

/** A stretch of text that means something. Offsets are JavaScript's (UTF-16 units); only {@link toAnnotations} speaks code points. */
export interface Span {
  readonly start: number;
  readonly end: number;
  readonly id: string;
  readonly name: string;
  readonly category: string;
}

/** What goes over the wire: offsets in code points, `end` exclusive. */
export interface Annotation {
  readonly start: number;
  readonly end: number;
  readonly label_name: string;
  readonly label_id: string;
  readonly categories: readonly string[];
  readonly accuracy: number;
  readonly text: string;
}

interface Entry {
  readonly words: readonly string[];
  readonly exact: readonly string[] | null;
  readonly term: Term;
}

interface Token {
  readonly start: number;
  readonly end: number;
  readonly exact: string;
  readonly word: string;
}

const WORD = /[\p{L}\p{N}\p{M}]+/gu;
/** What may stand between the words of one term; more than a line break apart they are not one term. */
const GAP = /^[\s\-/'’]{1,4}$/u;
const CAPITALS_ONLY = /^[\p{Lu}\p{N}]{2,5}$/u;

/** Finds terms and patterns in text. Immutable: training builds a new one. */
export class Annotator {
  readonly #byFirstWord = new Map<string, Entry[]>();

  constructor(readonly terms: readonly Term[]) {
    for (const term of chooseOnePerSurface(terms)) {
      const exact = term.surface.match(WORD) ?? [];
      const words = exact.map((word) => word.toLowerCase());
      const [first] = words;
      if (first === undefined) continue;
      const entries = this.#byFirstWord.get(first) ?? [];
      entries.push({ words, exact: CAPITALS_ONLY.test(term.surface) ? exact : null, term });
      this.#byFirstWord.set(first, entries);
    }
  }

  /** All spans in order of appearance, none overlapping. */
  find(text: string): Span[] {
    return resolveOverlaps([...this.#findTerms(text), ...findPatterns(text)]);
  }

  annotate(text: string): Annotation[] {
    return toAnnotations(text, this.find(text));
  }

  *#findTerms(text: string): Generator<Span> {
    const tokens = tokenise(text);
    for (let at = 0; at < tokens.length; at++) {
      for (const { words, exact, term } of this.#byFirstWord.get(tokens[at]!.word) ?? []) {
        if (!matches(text, tokens, at, { words, exact })) continue;
        const end = tokens[at + words.length - 1]!.end;
        yield { start: tokens[at]!.start, end, id: term.id, name: term.name, category: term.category };
      }
    }
  }
}

/** The key under which two ways of writing count as the same surface. */
export function surfaceKey(surface: string): string {
  const words = (surface.match(WORD) ?? []).join(" ");
  return CAPITALS_ONLY.test(surface) ? words : words.toLowerCase();
}

/** Converts offsets to code points in one pass over the text. */
export function toAnnotations(text: string, spans: readonly Span[]): Annotation[] {
  let unit = 0;
  let point = 0;
  const pointAt = (target: number) => {
    while (unit < target) {
      unit += text.codePointAt(unit)! > 0xffff ? 2 : 1;
      point++;
    }
    return point;
  };
  return spans.map((span) => ({
    start: pointAt(span.start),
    end: pointAt(span.end),
    label_name: span.name,
    label_id: span.id,
    categories: [span.category],
    accuracy: 1,
    text: text.slice(span.start, span.end),
  }));
}

/** Writes `replace(span)` in place of each span and `keep(text)` for what is between; spans are in order and apart. */
export function rewriteSpans(
  text: string,
  spans: readonly Span[],
  replace: (span: Span, index: number) => string,
  keep: (between: string) => string = (between) => between,
): string {
  const pieces: string[] = [];
  let from = 0;
  spans.forEach((span, index) => {
    pieces.push(keep(text.slice(from, span.start)), replace(span, index));
    from = span.end;
  });
  pieces.push(keep(text.slice(from)));
  return pieces.join("");
}

/** The longest span wins; of equals the earliest, then the one found first. */
export function resolveOverlaps(spans: readonly Span[]): Span[] {
  const taken: Span[] = [];
  const ranked = [...spans].sort((a, b) => b.end - b.start - (a.end - a.start) || a.start - b.start);
  const claimed = new Set<number>();
  for (const span of ranked) {
    // Longest first: whatever overlaps this span is at least as long, so it covers one of this span's two ends.
    if (claimed.has(span.start) || claimed.has(span.end - 1)) continue;
    for (let at = span.start; at < span.end; at++) claimed.add(at);
    taken.push(span);
  }
  return taken.sort((a, b) => a.start - b.start);
}

function tokenise(text: string): Token[] {
  return Array.from(text.matchAll(WORD), (found) => ({
    start: found.index,
    end: found.index + found[0].length,
    exact: found[0],
    word: found[0].toLowerCase(),
  }));
}

function matches(text: string, tokens: readonly Token[], at: number, entry: Pick<Entry, "words" | "exact">): boolean {
  return entry.words.every((word, offset) => {
    const token = tokens[at + offset];
    if (token === undefined || token.word !== word) return false;
    if (entry.exact !== null && token.exact !== entry.exact[offset]) return false;
    return offset === 0 || GAP.test(text.slice(tokens[at + offset - 1]!.end, token.start));
  });
}

function* findPatterns(text: string): Generator<Span> {
  for (const { id, name, find, accept } of PATTERNS) {
    for (const found of text.matchAll(find)) {
      if (accept?.(found[0]) === false) continue;
      yield { start: found.index, end: found.index + found[0].length, id, name, category: PATTERN_CATEGORY };
    }
  }
}

function chooseOnePerSurface(terms: readonly Term[]): Iterable<Term> {
  const best = new Map<string, Term>();
  for (const term of terms) {
    const key = surfaceKey(term.surface);
    const rival = best.get(key);
    if (rival === undefined || term.seen >= rival.seen) best.set(key, term);
  }
  return best.values();
}
