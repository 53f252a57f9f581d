/** What a person sees on stderr, and how sizes and spans are written. Programs get no progress. */
import { SingleBar } from "cli-progress";

const CLEAR_LINE = "\r\u001b[K";

/** Control characters in what others named must not reach a terminal. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, " ");
}

/** One line at a terminal that is written over; silent elsewhere. */
export class StatusLine {
  readonly #isTerminal = process.stderr.isTTY === true;
  #shown = "";

  show(text: string): void {
    if (!this.#isTerminal || text === this.#shown) return;
    this.#shown = text;
    process.stderr.write(`${CLEAR_LINE}${plain(text).slice(0, (process.stderr.columns ?? 80) - 1)}`);
  }

  clear(): void {
    if (this.#isTerminal && this.#shown !== "") process.stderr.write(CLEAR_LINE);
    this.#shown = "";
  }
}

export interface UploadProgress {
  add(bytes: number): void;
  end(): void;
}

/** A bar where the size is known, a count where it is not, nothing where nobody looks. */
export function showUpload(totalBytes: number | null): UploadProgress {
  if (process.stderr.isTTY !== true) return { add: () => undefined, end: () => undefined };
  if (totalBytes === null) {
    const line = new StatusLine();
    let sent = 0;
    return {
      add: (bytes) => {
        sent += bytes;
        line.show(`Uploading  ${formatBytes(sent)}`);
      },
      end: () => line.clear(),
    };
  }
  const bar = new SingleBar({
    stream: process.stderr,
    clearOnComplete: true,
    hideCursor: true,
    barsize: 30,
    format: (options, { progress, value, total, eta }) => {
      const left = eta > 0 && Number.isFinite(eta) ? `  ${formatSeconds(eta)} left` : "";
      const blocks = drawBar(progress, options.barsize ?? 30);
      return `Uploading ${blocks} ${Math.floor(progress * 100)}%  ${formatBytes(value)} of ${formatBytes(total)}${left}`;
    },
  });
  bar.start(totalBytes, 0);
  return { add: (bytes) => bar.increment(bytes), end: () => bar.stop() };
}

/** @param progress 0 to 1 */
export function drawBar(progress: number, width: number): string {
  const done = Math.round(Math.min(1, Math.max(0, progress)) * width);
  return "█".repeat(done) + "░".repeat(width - done);
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${Math.round(bytes)} B`;
  const units = ["kB", "MB", "GB", "TB"];
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), units.length);
  return `${(bytes / 1_000 ** power).toFixed(1)} ${units[power - 1]}`;
}

export function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 36 * 3_600 ? `${toTenth(seconds / 3_600)} h` : `${toTenth(seconds / 86_400)} d`;
}

/** A tenth is shown only where it says something: half an hour more or less is much to who asked for 90 minutes. */
function toTenth(value: number): number {
  return value < 10 ? Math.round(value * 10) / 10 : Math.round(value);
}
