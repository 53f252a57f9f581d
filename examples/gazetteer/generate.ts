import { setTimeout as pause } from "node:timers/promises";
import { readTextBody } from "./body.js";
import type { Call, Reply } from "./http.js";
import { replyText } from "./http.js";
import { decimal, flag, integer, readQuery, text, texts } from "./query.js";
import type { Route } from "./route.js";
import { readTrackingId } from "./tracking-id.js";

export const GENERATION_ROUTES: readonly Route[] = [
  { method: "POST", path: "/generate", summary: "A summary of the prompt", limited: "after-body", handle: generate },
  {
    method: "POST",
    path: "/stream/generate",
    summary: "The same, word by word",
    limited: "after-body",
    handle: generateStream,
  },
];

const QUOTED_WORDS = 40;

interface Generation {
  readonly words: readonly string[];
  readonly trackingId: string;
  readonly includeUsage: boolean;
  readonly promptTokens: number;
}

async function generate(call: Call): Promise<Reply> {
  const { words, trackingId, includeUsage, promptTokens } = await readGeneration(call);
  const { tokenMs } = call.service.options;
  await pause(tokenMs * words.length);
  const usage = {
    "x-cms-gen-prompt-token-num": String(promptTokens),
    "x-cms-gen-completion-token-num": String(words.length),
    "x-cms-gen-total-token-num": String(promptTokens + words.length),
    "x-cms-gen-tpot-ms": String(tokenMs),
  };
  return replyText(200, words.join(""), { "x-cms-tracking-id": trackingId, ...(includeUsage ? usage : {}) });
}

async function generateStream(call: Call): Promise<Reply> {
  const generation = await readGeneration(call);
  const headers = { "content-type": "text/event-stream; charset=utf-8", "x-cms-tracking-id": generation.trackingId };
  return { status: 200, headers, body: speak(generation, call.service.options.tokenMs) };
}

/** Raw text in spite of the content type, as CMS sends it. */
async function* speak({ words, includeUsage, promptTokens }: Generation, tokenMs: number): AsyncGenerator<Buffer> {
  for (const word of words) {
    yield Buffer.from(word);
    await pause(tokenMs);
  }
  if (!includeUsage) return;
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: words.length,
    total_tokens: promptTokens + words.length,
  };
  yield Buffer.from(`\n\n<cms_token_usage>${JSON.stringify(usage)}</cms_token_usage>`);
}

async function readGeneration(call: Call): Promise<Generation> {
  const prompt = await readTextBody(call);
  const query = readQuery(call.query, {
    max_tokens: integer(512, { min: 1 }),
    temperature: decimal(0.7, { min: 0 }),
    top_p: decimal(0.9, { min: 0, max: 1 }),
    stop_sequences: texts(),
    include_usage: flag(false),
    ensure_full_sentences: flag(false),
    chat_template: text(null),
  });
  const trackingId = readTrackingId(call);
  const told = cutAtStop(summarise(call, prompt), query.stop_sequences);
  const words = (told.match(/\S+\s*/gu) ?? []).slice(0, query.max_tokens);
  return { words, trackingId, includeUsage: query.include_usage, promptTokens: splitWords(prompt).length };
}

/** The same words for the same prompt, always: this is a rule, not a language model. */
function summarise({ service }: Call, prompt: string): string {
  const names = [...new Set(service.annotator.find(prompt).map(({ name }) => name.toLowerCase()))];
  const found = names.length === 0 ? "nothing this gazetteer knows" : names.join(", ");
  const quoted = splitWords(prompt).slice(0, QUOTED_WORDS).join(" ");
  return `The text has ${splitWords(prompt).length} words and mentions ${found}. It begins: ${quoted}`;
}

function cutAtStop(text: string, stops: readonly string[]): string {
  const ends = stops.filter((stop) => stop !== "").map((stop) => text.indexOf(stop));
  return text.slice(0, Math.min(text.length, ...ends.filter((end) => end >= 0)));
}

function splitWords(text: string): string[] {
  return text.match(/\S+/gu) ?? [];
}
