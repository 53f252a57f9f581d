/** How far a transfer is, for a person at a terminal: bytes, rate and time left. Nothing of it where a program reads. */
import { SingleBar } from "cli-progress";
import { drawBar, formatBytes, formatSeconds, StatusLine } from "./terminal.js";

export interface TransferProgress {
  /** So many bytes are through; may be fewer than before, where something has to be sent again. */
  at(bytes: number): void;
  /** Shown in the bar's place until bytes move again. */
  say(text: string): void;
  end(): void;
}

/** @param verb what is being done: `Uploading` */
export function showTransfer(verb: string, totalBytes: number): TransferProgress {
  if (process.stderr.isTTY !== true) return { at: () => undefined, say: () => undefined, end: () => undefined };
  const rate = new Rate();
  const line = new StatusLine();
  const bar = new SingleBar({
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    fps: 8,
    format: (_options, { value, total }) =>
      describeTransfer(verb, { value, total, perSecond: rate.perSecond }, columns()),
  });
  let isDrawn = false;
  const stop = () => {
    if (isDrawn) bar.stop();
    isDrawn = false;
  };
  return {
    at(bytes) {
      rate.at(bytes, performance.now());
      if (isDrawn) return bar.update(bytes);
      line.clear();
      bar.start(totalBytes, bytes);
      isDrawn = true;
    },
    say(text) {
      stop();
      rate.forget();
      line.show(text);
    },
    end() {
      stop();
      line.clear();
    },
  };
}

const columns = () => process.stderr.columns ?? 80;
const WIDEST_BAR = 30;
const NARROWEST_BAR = 5;

interface Transfer {
  readonly value: number;
  readonly total: number;
  /** Null while it is not known. */
  readonly perSecond: number | null;
}

/** One line that fits; the bar takes what room the words leave. Pure. */
export function describeTransfer(verb: string, { value, total, perSecond }: Transfer, width: number): string {
  const progress = total === 0 ? 1 : value / total;
  const rate = perSecond === null ? "" : `  ${formatBytes(perSecond)}/s`;
  const seconds = perSecond === null || perSecond < 1 ? null : (total - value) / perSecond;
  const left = seconds === null || value >= total ? "" : `  ${formatSeconds(Math.max(1, seconds))} left`;
  const words = `${Math.floor(progress * 100)}%  ${formatBytes(value)} of ${formatBytes(total)}${rate}${left}`;
  const room = width - 1 - verb.length - words.length - 2;
  const bar = room < NARROWEST_BAR ? "" : ` ${drawBar(progress, Math.min(room, WIDEST_BAR))}`;
  return `${verb}${bar} ${words}`.slice(0, width - 1);
}

/** Of the last seconds: they count for more than those before. */
const MEMORY_MS = 3_000;
const SAMPLE_MS = 200;

export class Rate {
  #sample: { readonly bytes: number; readonly atMs: number } | null = null;
  #perSecond: number | null = null;

  get perSecond(): number | null {
    return this.#perSecond;
  }

  at(bytes: number, nowMs: number): void {
    const last = this.#sample;
    if (last === null || bytes < last.bytes) {
      this.#sample = { bytes, atMs: nowMs };
      return;
    }
    const spanMs = nowMs - last.atMs;
    if (spanMs < SAMPLE_MS) return;
    const now = ((bytes - last.bytes) * 1_000) / spanMs;
    const weight = 1 - Math.exp(-spanMs / MEMORY_MS);
    this.#perSecond = this.#perSecond === null ? now : this.#perSecond + (now - this.#perSecond) * weight;
    this.#sample = { bytes, atMs: nowMs };
  }

  /** After a pause that says nothing of the rate. */
  forget(): void {
    this.#sample = null;
    this.#perSecond = null;
  }
}
