/** Query parameters as CMG's clients send them: lax booleans, whole numbers, and 422 items for everything else. */
import { booleanOf, integerOf } from "./lax.js";
import { type Item, notAnInteger, refuse } from "./refused.js";

const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)$/;

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

  /** All of a repeated parameter. */
  texts(name: string): string[] {
    return [this.#given[name] ?? []].flat().map(String);
  }

  flag(name: string, otherwise = false): boolean {
    const value = this.text(name);
    const flag = value === null ? otherwise : booleanOf(value);
    if (flag === null) {
      this.#refuse("bool_parsing", name, "Input should be a valid boolean, unable to interpret input", value);
    }
    return flag ?? false;
  }

  /** A whole number between the bounds; null when absent. */
  integer(name: string, { min, max }: { min: number; max: number }): number | null {
    const value = this.text(name);
    if (value === null) return null;
    const number = integerOf(value);
    if (number === null) {
      this.#items.push(notAnInteger(["query", name], value));
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
    throw refuse(`the query parameter ${names} is not valid`, this.#items);
  }

  #refuse(type: string, name: string, msg: string, input: string | null): void {
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
