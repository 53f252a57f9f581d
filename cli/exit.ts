/** How the command ends. The codes are an interface: scripts match on them (docs/cli.md). */
export const EXIT = {
  ok: 0,
  /** The task failed, the thing is not there, the request was refused. */
  failed: 1,
  /** Wrong usage or configuration. */
  usage: 2,
  /** Nobody answers where Sluice should be. */
  unreachable: 3,
  /** What was waited for did not end in time. */
  timedOut: 4,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface CliErrorOptions {
  readonly hint?: string;
  readonly requestId?: string;
  /** The HTTP status of the answer that refused. */
  readonly status?: number;
  readonly cause?: unknown;
}

/** Ends the command with a message for the person who typed it. */
export class CliError extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | undefined;
  readonly requestId: string | undefined;
  readonly status: number | undefined;

  constructor(exitCode: ExitCode, message: string, options: CliErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CliError";
    this.exitCode = exitCode;
    this.hint = options.hint;
    this.requestId = options.requestId;
    this.status = options.status;
  }
}
