/** What goes wrong with the Docker daemon, in our own terms. Pure. */

/**
 * - `away`: it did not answer, or not in time: nobody knows whether it did what was asked
 * - `absent`: there is no such container, image or network
 * - `conflict`: the name is taken, or it is already being removed
 * - `unchanged`: it was so already
 * - `refused`: anything else it said no to
 */
export type DockerFaultKind = "away" | "absent" | "conflict" | "unchanged" | "refused";

export class DockerFault extends Error {
  readonly kind: DockerFaultKind;
  /** The operating system's, such as EACCES. */
  readonly code: string | undefined;

  /** @param message the daemon's words, made fit for operators by {@link faultOf} */
  constructor(kind: DockerFaultKind, message: string, options: { cause?: unknown; code?: string | undefined } = {}) {
    super(message, { cause: options.cause });
    this.name = "DockerFault";
    this.kind = kind;
    this.code = options.code;
  }
}

const KINDS: Readonly<Record<number, DockerFaultKind>> = { 304: "unchanged", 404: "absent", 409: "conflict" };
const LONGEST_WORDS = 300;

/** From anything that the client library or the operating system threw. */
export function faultOf(caught: unknown): DockerFault {
  if (caught instanceof DockerFault) return caught;
  const { statusCode, code, json } = (caught ?? {}) as {
    statusCode?: unknown;
    code?: unknown;
    json?: { message?: unknown };
  };
  if (typeof statusCode === "number") {
    return new DockerFault(KINDS[statusCode] ?? "refused", cleanWords(String(json?.message ?? `HTTP ${statusCode}`)));
  }
  const known = typeof code === "string" ? code : undefined;
  return new DockerFault("away", "the Docker daemon does not answer", { cause: caught, code: known });
}

/** One line, bounded, and no URL with its query: it may carry a key. */
export function cleanWords(words: string): string {
  return words
    .replace(/(\w+:\/\/)[^\s"'@/]*@/g, "$1")
    .replace(/(\w+:\/\/[^\s"'?]*)\?[^\s"']*/g, "$1")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, LONGEST_WORDS);
}
