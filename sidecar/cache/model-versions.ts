/**
 * Which version of a model a server holds now: a hash of what it says of itself. A model server can replace its model in place, so
 * it is asked again every half a minute, and after each training.
 */
import { createHash } from "node:crypto";
import type { ModelEntry } from "../../core/contract/models.js";
import type { Clock } from "../../core/runtime/clock.js";
import type { HttpClient } from "../../core/runtime/http.js";
import { settledWithin } from "../../core/runtime/within.js";
import type { ModelCatalogue } from "../models/catalogue.js";
import { fetchInfoText } from "../models/info.js";

/** An answer is believed for this long. */
const FRESH_MS = 30_000;
/** A server that gave none is left alone for this long: it may be computing, and every submission would wait for it. */
const SILENT_MS = 5_000;

export interface ModelVersions {
  /**
   * @param waitMs bound on the wait for the server; the question itself goes on
   * @returns null when the version cannot be had: the model does not run, or does not answer in time
   */
  current(model: string, waitMs: number): Promise<string | null>;
  /**
   * What the server says to a question of its own, asked now: what it said half a minute ago does not tell whose answer just came.
   * @param waitMs bound on the wait
   * @returns null as {@link current}
   */
  confirmed(model: string, waitMs: number): Promise<string | null>;
  /** What was known of a model counts no more, an answer that is on its way included. */
  forget(model: string): void;
}

interface Asked {
  /** Base URL that was asked. */
  readonly url: string;
  /** The hash, or null when the server gave none. */
  readonly info: Promise<string | null>;
  /** When {@link info} counts no more, on the steady clock; infinite while it is on its way. */
  expiresAt: number;
}

export function createModelVersions(catalogue: ModelCatalogue, http: HttpClient, clock: Clock): ModelVersions {
  const asked = new Map<string, Asked>();

  function ask(model: string, url: string): Asked {
    const question: Asked = { url, info: infoHash(http, url), expiresAt: Number.POSITIVE_INFINITY };
    void question.info.then((info) => {
      question.expiresAt = clock.elapsed() + (info === null ? SILENT_MS : FRESH_MS);
    });
    asked.set(model, question);
    return question;
  }

  return {
    async current(model, waitMs) {
      const entry = catalogue.get(model);
      if (entry?.state !== "ready" || entry.url === null) {
        asked.delete(model);
        return null;
      }
      const known = asked.get(model);
      const isFresh = known !== undefined && known.url === entry.url && known.expiresAt > clock.elapsed();
      const question = isFresh ? known : ask(model, entry.url);
      const info = await settledWithin(clock, waitMs, question.info, () => null);
      // Forgotten meanwhile: what was answered may be of the version before.
      return info === null || asked.get(model) !== question ? null : versionOf(entry, info);
    },
    async confirmed(model, waitMs) {
      const entry = catalogue.get(model);
      if (entry?.state !== "ready" || entry.url === null) return null;
      const info = await settledWithin(clock, waitMs, infoHash(http, entry.url), () => null);
      return info === null ? null : versionOf(entry, info);
    },
    forget(model) {
      asked.delete(model);
    },
  };
}

async function infoHash(http: HttpClient, url: string): Promise<string | null> {
  const text = await fetchInfoText(http, url);
  return text === null ? null : createHash("sha256").update(text).digest("hex");
}

/** A server of ours gets another port at each start and is the same all the same. Pure. */
export function versionOf(entry: Pick<ModelEntry, "name" | "source" | "url" | "modelUri">, info: string): string {
  const { name, source, url, modelUri } = entry;
  const identity = JSON.stringify([name, source, source === "process" ? null : url, modelUri, info]);
  return createHash("sha256").update(identity).digest("hex");
}
