/** What a version may be, which one a number means, and the words when there is none. Pure. */
import { SluiceError } from "../../core/contract/errors.js";
import { MAX_USER_DATA_BYTES, shownId, type VersionInfo } from "../../core/contract/registry.js";
import type { ByteRange, VersionHeader } from "./registry.js";

const MAX_TIMESTAMP = 2n ** 64n - 1n;

/** @throws VERSION_TOO_LARGE, INVALID_PARAMETER */
export function checkHeader(header: VersionHeader, maxVersionBytes: number | null): void {
  const { dataBytes, creationTimestamp, userData } = header;
  if (maxVersionBytes !== null && dataBytes > maxVersionBytes) {
    throw new SluiceError(
      "VERSION_TOO_LARGE",
      `a version of ${dataBytes} bytes is above the limit of ${maxVersionBytes}`,
    );
  }
  if (!Number.isSafeInteger(dataBytes) || dataBytes < 0) {
    throw new SluiceError("INVALID_PARAMETER", "a version's size must be a whole number of bytes from 0 to 2^53-1");
  }
  if (creationTimestamp !== null && (creationTimestamp < 0n || creationTimestamp > MAX_TIMESTAMP)) {
    throw new SluiceError("INVALID_PARAMETER", "a creation timestamp must be nanoseconds from 0 to 2^64-1");
  }
  checkUserData(userData);
}

/** @throws INVALID_PARAMETER for more than {@link MAX_USER_DATA_BYTES} of keys and values */
export function checkUserData(userData: Readonly<Record<string, string>>): void {
  let bytes = 0;
  for (const [key, value] of Object.entries(userData)) {
    if (typeof value !== "string") {
      throw new SluiceError("INVALID_PARAMETER", "user data must map keys to strings");
    }
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  }
  if (bytes > MAX_USER_DATA_BYTES) {
    throw new SluiceError(
      "INVALID_PARAMETER",
      `user data of ${bytes} bytes is above the limit of ${MAX_USER_DATA_BYTES}`,
    );
  }
}

/** Below 0 it counts from the newest one's number, holes included; 0 for what no version can be. @param newest 0: there is none */
export function meantNumber(asked: number, newest: number): number {
  const number = asked < 0 ? newest + asked + 1 : asked;
  return newest > 0 && Number.isSafeInteger(number) && number > 0 ? number : 0;
}

/** Two ascending lists as one, cut. @param limit 0: all */
export function mergeVersions(
  some: readonly VersionInfo[],
  others: readonly VersionInfo[],
  limit: number,
): VersionInfo[] {
  if (others.length === 0) return [...some];
  const merged = [...some, ...others].sort((one, other) => one.versionNumber - other.versionNumber);
  return limit === 0 ? merged : merged.slice(0, limit);
}

/** @throws RANGE_NOT_SATISFIABLE */
export function checkRange({ first, last }: ByteRange, { dataBytes }: VersionInfo): void {
  const isWithin = Number.isSafeInteger(first) && Number.isSafeInteger(last) && 0 <= first && first <= last;
  if (!isWithin || last >= dataBytes) {
    throw new SluiceError("RANGE_NOT_SATISFIABLE", `the version has ${dataBytes} bytes, not those asked for`);
  }
}

/** Too many are known at the first one, too few at the end. */
export function wrongSize(expectedBytes: number, receivedBytes: number): SluiceError {
  return rejected(
    `stream ended while having not received the expected data, expected ${expectedBytes} bytes, received ${receivedBytes} bytes`,
  );
}

/** @throws VERSION_REJECTED where it is not the hash that the header names */
export function checkHash({ dataHash }: VersionHeader, received: string): void {
  if (dataHash !== null && dataHash !== received) throw wrongHash(dataHash, received);
}

function wrongHash(expected: string, received: string): SluiceError {
  return rejected(
    `received data did not match the expected hash, expected ${shownId(expected)}, received ${shownId(received)}`,
  );
}

function rejected(message: string): SluiceError {
  return new SluiceError("VERSION_REJECTED", message, {
    hint: "Send the whole version again, with its own size and hash.",
  });
}

export function numberUsed(versionNumber: number): SluiceError {
  return new SluiceError("VERSION_NUMBER_USED", `the model has, or had, another version ${versionNumber}`);
}

export function modelUnknown(modelId: string): SluiceError {
  return new SluiceError("REGISTRY_MODEL_UNKNOWN", `no model ${shownId(modelId)} found`);
}

/** @param asked as the caller gave it: -3 reads n-3 */
export function versionUnknown(modelId: string, asked: number): SluiceError {
  const message =
    asked === 0
      ? `model ${shownId(modelId)} doesn't have any version yet`
      : `no version "${asked < 0 ? `n${asked}` : asked}" for model ${shownId(modelId)} found`;
  return new SluiceError("REGISTRY_VERSION_UNKNOWN", message);
}

export function aliasUnknown(modelId: string, alias: string): SluiceError {
  return new SluiceError("REGISTRY_ALIAS_UNKNOWN", `model ${shownId(modelId)} has no alias ${shownId(alias)}`);
}
