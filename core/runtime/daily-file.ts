/**
 * Lines into `<name>_<YYYY-MM-DD><ext>`: a new file for each day of the machine's own calendar, begun by its first line.
 *
 * Never makes anybody wait: lines go through memory, {@link MAX_PENDING_BYTES} at most. While the disk takes none they are kept as far as
 * they fit, and tried again.
 */
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname, join, parse } from "node:path";
import type { Clock } from "./clock.js";

export interface DailyFileOptions {
  /** `<name><ext>`; its folder is made when missing. */
  readonly path: string;
  readonly clock: Pick<Clock, "now" | "sleep">;
  /** The disk takes no lines, or takes them again; told once each time. */
  readonly onState: (state: { readonly problem: string | null; readonly droppedLines: number }) => void;
  /** Between two tries. Default 5000. */
  readonly retryMs?: number;
}

/** Lines of one day that are not written yet. */
interface Batch {
  readonly day: string;
  lines: string[];
}

const MAX_PENDING_BYTES = 4 * 2 ** 20;
/** Logs are for the operator and whoever the operator's group lets read them. */
const MODE = 0o640;

export class DailyFile {
  readonly #options: DailyFileOptions;
  readonly #closing = new AbortController();
  #pending: Batch[] = [];
  #pendingBytes = 0;
  #droppedLines = 0;
  #isTroubled = false;
  #file: { readonly day: string; readonly handle: FileHandle } | null = null;
  #pump: Promise<void> | null = null;

  private constructor(options: DailyFileOptions) {
    this.#options = options;
  }

  /** @throws Error of the file system when today's file cannot be written to */
  static async open(options: DailyFileOptions): Promise<DailyFile> {
    const daily = new DailyFile(options);
    await mkdir(dirname(options.path), { recursive: true, mode: 0o750 });
    await daily.#handleOf(dayOf(options.clock.now()));
    return daily;
  }

  /** @param line with its line break */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#closing.signal.aborted || this.#pendingBytes + bytes > MAX_PENDING_BYTES) {
      this.#droppedLines += 1;
      return;
    }
    const day = dayOf(this.#options.clock.now());
    const newest = this.#pending.at(-1);
    if (newest?.day === day) newest.lines.push(line);
    else this.#pending.push({ day, lines: [line] });
    this.#pendingBytes += bytes;
    this.#pump ??= this.#writeAll().finally(() => {
      this.#pump = null;
    });
  }

  /** Writes what is there, trying once where the disk takes none. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#pump;
    await this.#file?.handle.close().catch(() => undefined);
    this.#file = null;
  }

  async #writeAll(): Promise<void> {
    // What is written in this turn goes out together.
    await Promise.resolve();
    for (let batch = this.#pending[0]; batch !== undefined; batch = this.#pending[0]) {
      const lines = batch.lines;
      const text = lines.join("");
      try {
        const handle = await this.#handleOf(batch.day);
        batch.lines = [];
        await handle.appendFile(text);
        this.#done(batch, text);
      } catch (caught) {
        // A part of it may be there: a line twice is better than none.
        batch.lines = [...lines, ...(batch.lines === lines ? [] : batch.lines)];
        this.#tell((caught as NodeJS.ErrnoException).code ?? "unknown");
        if (this.#closing.signal.aborted) return;
        await this.#options.clock.sleep(this.#options.retryMs ?? 5_000, this.#closing.signal);
      }
    }
  }

  #done(batch: Batch, text: string): void {
    this.#pendingBytes -= Buffer.byteLength(text);
    // More of the same day may have come meanwhile.
    if (batch.lines.length === 0) this.#pending.shift();
    if (this.#isTroubled) this.#tell(null);
  }

  async #handleOf(day: string): Promise<FileHandle> {
    if (this.#file?.day === day) return this.#file.handle;
    await this.#file?.handle.close().catch(() => undefined);
    this.#file = null;
    const handle = await open(dailyPath(this.#options.path, day), "a", MODE);
    this.#file = { day, handle };
    return handle;
  }

  #tell(problem: string | null): void {
    if (problem !== null && this.#isTroubled) return;
    this.#isTroubled = problem !== null;
    const droppedLines = this.#droppedLines;
    if (problem === null) this.#droppedLines = 0;
    this.#options.onState({ problem, droppedLines });
  }
}

/** `logs/registry.log` on 31 January 2026: `logs/registry_2026-01-31.log`. */
export function dailyPath(path: string, day: string): string {
  const { dir, name, ext } = parse(path);
  return join(dir, `${name}_${day}${ext}`);
}

/** The calendar day of this machine's time zone, as YYYY-MM-DD. */
export function dayOf(epochMs: number): string {
  const date = new Date(epochMs);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
