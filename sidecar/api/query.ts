/** Query parameters as CMG's clients send them: lax booleans, whole numbers, and 422 items for everything else. */
import { SluiceError } from "../../core/contract/errors.js";

const TRUE: ReadonlySet<string> = new Set(["true", "t", "yes", "y", "on", "1"]);
const FALSE: ReadonlySet<string> = new Set(["false", "f", "no", "n", "off", "0"]);

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)$/;

/** One refused value, in CMG's form. */
interface Item {
  readonly type: string;
  readonly loc: readonly [string, string];
  readonly msg: string;
  readonly input: string;
}

/**
 * Reads the parameters one by one, then {@link done} refuses all the bad ones together.
 * Of a repeated parameter the last one counts.
 */
export class Query {
  readonly #given: Record<string, unknown>;
  readonly #items: Item[] = [];

  constructor(given: unknown) {
    this.#given = (given ?? {}) as Record<string, unknown>;
  }

  text(name: string): string | null {
    const given = this.#given[name];
    const value = Array.isArray(given) ? given.at(-1) : given;
    return typeof value === "string" ? value : null;
  }

  flag(name: string): boolean {
    const value = this.text(name);
    const word = value?.toLowerCase();
    if (value === null || word === undefined || FALSE.has(word)) return false;
    if (!TRUE.has(word)) {
      this.#refuse("bool_parsing", name, "Input should be a valid boolean, unable to interpret input", value);
    }
    return true;
  }

  /** A whole number between the bounds; null when absent. */
  integer(name: string, { min, max }: { min: number; max: number }): number | null {
    const value = this.text(name);
    if (value === null) return null;
    const number = /^\s*[+-]?\d{1,15}(?:\.0*)?\s*$/.test(value) ? Number(value) : Number.NaN;
    if (Number.isNaN(number)) {
      this.#refuse("int_parsing", name, "Input should be a valid integer, unable to parse string as an integer", value);
    } else if (number < min) {
      this.#refuse("greater_than_equal", name, `Input should be greater than or equal to ${min}`, value);
    } else if (number > max) {
      this.#refuse("less_than_equal", name, `Input should be less than or equal to ${max}`, value);
    }
    return number;
  }

  /** One of a few words; null when absent. */
  oneOf<Word extends string>(name: string, words: readonly Word[]): Word | null {
    const value = this.text(name);
    if (value === null) return null;
    const found = words.find((each) => each === value);
    if (found === undefined) {
      const list = words.map((each) => `'${each}'`).join(", ");
      this.#refuse("literal_error", name, `Input should be one of ${list}`, value);
    }
    return found ?? null;
  }

  /** An ISO 8601 time with its zone, as epoch milliseconds; null when absent. */
  time(name: string): number | null {
    const value = this.text(name);
    if (value === null) return null;
    const epochMs = ISO_TIME.test(value) ? Date.parse(value) : Number.NaN;
    if (Number.isNaN(epochMs)) {
      this.#refuse("datetime_parsing", name, "Input should be a time such as 2026-01-02T03:04:05Z", value);
    }
    return epochMs;
  }

  /** @throws INVALID_PARAMETER with CMG's list of items in `detail` */
  done(): void {
    if (this.#items.length === 0) return;
    const names = this.#items.map(({ loc }) => `'${loc[1]}'`).join(", ");
    throw new SluiceError("INVALID_PARAMETER", `the query parameter ${names} is not valid`, { detail: this.#items });
  }

  #refuse(type: string, name: string, msg: string, input: string): void {
    this.#items.push({ type, loc: ["query", name], msg, input });
  }
}

const MAX_WAIT_MS = 3_600_000;

/** `wait_ms` alone, from 0 to an hour; 0 without one. @throws INVALID_PARAMETER */
export function readWaitMs(given: unknown): number {
  const query = new Query(given);
  const waitMs = query.integer("wait_ms", { min: 0, max: MAX_WAIT_MS }) ?? 0;
  query.done();
  return waitMs;
}
