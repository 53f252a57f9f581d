/** What a disk can do to an archive, in the contract's words. */
import { isDiskFull, SluiceError } from "../../../core/contract/errors.js";
import type { ByteFault } from "./byte-messages.js";

/** A full disk, or one that fails. What is a fault of ours already stays as it is. */
export function asArchiveFault(caught: unknown): SluiceError {
  if (caught instanceof SluiceError) return caught;
  if (isDiskFull(caught)) {
    return new SluiceError("DISK_FULL", "the disk of the registry's archive is full", {
      cause: caught,
      hint: "Free space on the disk of registry.archive_dir; nothing needs a restart.",
      retryAfterMs: 10_000,
    });
  }
  return new SluiceError("STORE_FAILED", "the registry's archive cannot be read or written", {
    cause: caught,
    retryAfterMs: 5_000,
  });
}

export function damagedVersion(what: string): SluiceError {
  return new SluiceError("VERSION_DAMAGED", `what is stored of this version ${what}`);
}

export function describeFault(caught: unknown): ByteFault {
  const { code, message, cause } = asArchiveFault(caught);
  const { code: causeCode, message: causeMessage } = (cause ?? {}) as { code?: unknown; message?: unknown };
  const words = cause === undefined ? null : `${causeCode ?? "error"}: ${causeMessage ?? "unknown"}`;
  return { code, message, cause: words };
}

/** The error as it was before it crossed from a thread. */
export function rebuildFault({ code, message, cause }: ByteFault): SluiceError {
  const error = cause === null ? undefined : new Error(cause);
  if (code !== "DISK_FULL") {
    return new SluiceError(code, message, {
      cause: error,
      ...(code === "STORE_FAILED" ? { retryAfterMs: 5_000 } : {}),
    });
  }
  return asArchiveFault(Object.assign(error ?? new Error(message), { code: "ENOSPC" }));
}

/** Passes what was not there anyway. */
export function unlessMissing(caught: unknown): void {
  if ((caught as { code?: unknown }).code !== "ENOENT") throw caught;
}

export async function onDisk<Value>(step: Promise<Value>): Promise<Value> {
  try {
    return await step;
  } catch (caught) {
    throw asArchiveFault(caught);
  }
}
