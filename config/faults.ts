/** What is wrong with a configuration, in words for the person who wrote it. Secrets are never repeated. */
import { SluiceError } from "../core/contract/errors.js";
import { formatPath, isSecret, nodeAt } from "./settings.js";

/** Where a value came from. */
export interface Origin {
  readonly source: "file" | "env" | "flag";
  /** `config/sluice.yaml:12`, a variable's name, or a flag. */
  readonly where: string;
  readonly line?: number;
}

export interface ConfigFault {
  /** `proxy.port`, `discovery.static[0].url`; empty for a whole file. */
  readonly path: string;
  /** What was seen, masked; undefined when nothing was, or when it is no single value. */
  readonly value: string | undefined;
  readonly message: string;
  readonly source: Origin["source"];
  readonly where: string;
  readonly line?: number;
  /** The key or word that was probably meant. */
  readonly hint?: string;
}

export const MASK = "***";
const LONGEST_SHOWN = 80;

/** A value for showing: secrets and URL credentials masked, long texts cut, lists and mappings only named. */
function maskedValue(path: readonly (string | number)[], value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (isSecret(path)) return MASK;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object" && value !== null) return "a mapping";
  if (typeof value !== "string") return String(value);
  // Where a whole mapping should stand, a single text may be anything: `password:hunter2` without its blank.
  if (nodeAt(path)?.kind === "section" || path.length === 0) return "text";
  const text = maskCredentials(value);
  return `'${text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text}'`;
}

/** `redis://user:pass@host` → `redis://***@host`, and `--token=abc` → `--token=***`. */
export function maskCredentials(text: string): string {
  return text
    .replace(/([a-z][a-z0-9+.-]*:\/\/)[^/?#\s]*@/gi, `$1${MASK}@`)
    .replace(/((?:password|passwd|secret|token|api[-_]?key)[a-z0-9_-]*=)[^&\s]+/gi, `$1${MASK}`);
}

export function faultAt(
  path: readonly (string | number)[],
  origin: Origin,
  message: string,
  more: { value?: unknown; hint?: string | undefined } = {},
): ConfigFault {
  return {
    path: maskCredentials(formatPath(path)),
    value: maskedValue(path, more.value),
    // It may name what was written: a name that is no name may be an address with its password.
    message: maskCredentials(message),
    source: origin.source,
    where: origin.where,
    ...(origin.line === undefined ? {} : { line: origin.line }),
    ...(more.hint === undefined ? {} : { hint: more.hint }),
  };
}

/** One fault on one line: `config/sluice.yaml:12  proxy.prot: unknown key; did you mean 'port'?` */
export function formatFault(fault: ConfigFault): string {
  const seen = fault.value === undefined || fault.value === MASK ? "" : `, not ${fault.value}`;
  const hint = fault.hint === undefined ? "" : `; did you mean '${fault.hint}'?`;
  return `${fault.where}  ${fault.path === "" ? "" : `${fault.path}: `}${fault.message}${seen}${hint}`;
}

/** The configuration cannot be used: every fault that was found, all at once. */
export class ConfigError extends SluiceError {
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    const more = faults.length > 1 ? ` (and ${faults.length - 1} more; 'sluice config check' lists all)` : "";
    super("CONFIG_INVALID", `the configuration is not valid: ${formatFault(faults[0]!)}${more}`, {
      hint: "Correct the settings named; nothing was changed.",
    });
    this.name = "ConfigError";
    this.faults = faults;
  }

  /** All faults, one per line. */
  format(): string {
    return this.faults.map(formatFault).join("\n");
  }
}
