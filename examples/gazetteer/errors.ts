/** One entry of the list that a 422 carries. */
export interface Issue {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly msg: string;
  readonly input: unknown;
  readonly ctx?: Readonly<Record<string, unknown>>;
}

/** An answer other than success, with the exact body to send. */
export class HttpError extends Error {
  constructor(
    readonly status: number,
    readonly body: unknown,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(`HTTP ${status}`);
  }
}

/** Shape D, for what the framework refuses: `{"detail":"…"}`. */
export function refuseWithDetail(status: number, detail: string, headers: Record<string, string> = {}): HttpError {
  return new HttpError(status, { detail }, headers);
}

/** Shape N, for what a handler refuses: `{"message":"…"}`, sometimes with more keys. */
export function refuseWithMessage(status: number, message: string, more: Record<string, string> = {}): HttpError {
  return new HttpError(status, { message, ...more });
}

/** Shape V, 422: a list of what is wrong and where. */
export function refuseAsInvalid(issues: readonly Issue[]): HttpError {
  return new HttpError(422, { detail: issues });
}

export function missing(loc: readonly (string | number)[]): Issue {
  return { type: "missing", loc, msg: "Field required", input: null };
}
