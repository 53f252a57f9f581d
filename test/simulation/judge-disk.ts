/** A disk that refuses is asked again with pauses: nobody fills a log or a processor with it. */
import type { LogEntry } from "./log-entry.js";

type Accuse = (words: string) => void;

/** What was under way when it went bad. */
const AT_ONCE = 30;
/** Every lane, task and plan asks once a second. */
const PER_SECOND = 15;

export class Patience {
  #badSince: number | null = null;
  #refused = 0;

  see(entry: LogEntry, accuse: Accuse): void {
    if (entry.type === "write-refused") this.#refused += 1;
    else if (entry.type === "disk-bad") this.#badSince = entry.t;
    else if (this.#badSince !== null && (entry.type === "disk-good" || entry.type === "healed")) {
      const seconds = (entry.t - this.#badSince) / 1_000;
      if (this.#refused > AT_ONCE + PER_SECOND * seconds)
        accuse(`patience: ${this.#refused} writes were tried in ${seconds.toFixed(1)} s of a bad disk`);
      this.#badSince = null;
      this.#refused = 0;
    }
  }
}
