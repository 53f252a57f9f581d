import { rewriteSpans, type Span } from "./annotate.js";

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  "\n": "<br/>",
};

/** An HTML fragment that shows a text with its spans marked. */
export function previewHtml(title: string, text: string, spans: readonly Span[]): string {
  const mark = ({ start, end, name }: Span) =>
    `<mark>${escapeHtml(text.slice(start, end))} <b>${escapeHtml(name)}</b></mark>`;
  return `<h2>${escapeHtml(title)}</h2><div class="entities">${rewriteSpans(text, spans, mark, escapeHtml)}</div>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"'\n]/gu, (character) => ESCAPES[character]!);
}
