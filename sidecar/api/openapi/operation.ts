/** How a route is described; `document.ts` writes OpenAPI from it. */
import type { z } from "zod";

export interface Operation {
  readonly method: "get" | "head" | "post" | "put" | "patch" | "delete";
  /** As OpenAPI writes it: `/models/{name}`. The form with a slash at its end answers too. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description?: string;
  readonly query?: Readonly<Record<string, z.ZodType>>;
  readonly headers?: Readonly<Record<string, z.ZodType>>;
  readonly body?: Content & { readonly required: boolean };
  /** By status. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Statuses of refusals, in Sluice's envelope. */
  readonly refusals?: readonly number[];
}

export interface Content {
  /** The schema of JSON, by its name among the components; absent for other media types. */
  readonly json?: string;
  /** Other media types. */
  readonly media?: readonly string[];
}

export interface Answer extends Content {
  readonly description: string;
}
