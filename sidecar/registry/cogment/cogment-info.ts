/**
 * The YAML files in an archive of Cogment's, read and written. Every scalar is text, whatever it looks like, as Cogment takes it; the four
 * typed keys are converted here. Pure. With `config/yaml.ts` the only importer of `yaml`: that one knows our files, this one Cogment's.
 */
import { isMap, isScalar, parseDocument, type YAMLMap } from "yaml";
import { lineScalar, valueScalar } from "./cogment-scalar.js";
import { readTimestamp, writeTimestamp } from "./cogment-timestamp.js";

type UserData = Readonly<Record<string, string>>;

export interface CogmentModel {
  /** Null: it does not say. */
  readonly modelId: string | null;
  readonly userData: UserData;
}

/** Null: it does not say. */
export interface CogmentVersion extends CogmentModel {
  readonly versionNumber: number | null;
  readonly isTransient: boolean;
  /** Nanoseconds since 1970, 0 to 2^64-1. */
  readonly creationTimestamp: bigint | null;
  /** SHA-256 in base64, as it stands there. */
  readonly dataHash: string | null;
  readonly dataBytes: number | null;
}

/** Says what is wrong with a file, and holds none of its text. */
export class InfoFault extends Error {}

/** @throws InfoFault */
export function readModelInfo(text: string): CogmentModel {
  const keys = topLevelOf(text);
  return { modelId: textOf(keys, "model_id"), userData: userDataOf(keys) };
}

/** @throws InfoFault */
export function readVersionInfo(text: string): CogmentVersion {
  const keys = topLevelOf(text);
  return {
    modelId: textOf(keys, "model_id"),
    versionNumber: converted(keys, "version_number", wholeNumber),
    isTransient: converted(keys, "transient", truth) ?? false,
    creationTimestamp: converted(keys, "creation_timestamp", readTimestamp),
    dataHash: textOf(keys, "data_hash"),
    dataBytes: converted(keys, "data_size", wholeNumber),
    userData: userDataOf(keys),
  };
}

type Keys = ReadonlyMap<string, unknown>;

/** Keys that are not known are left aside. */
function topLevelOf(text: string): Keys {
  const contents = contentsOf(text);
  if (contents === null) return new Map();
  if (!isMap(contents)) throw new InfoFault("it is no list of keys and values");
  return new Map(entriesOf(contents));
}

function contentsOf(text: string): unknown {
  try {
    const document = parseDocument(text, {
      version: "1.1",
      schema: "failsafe",
      prettyErrors: false,
      logLevel: "silent",
    });
    if (document.errors.length > 0) throw new InfoFault("it is not valid YAML");
    return document.contents;
  } catch (caught) {
    // The parser's own limits: nesting.
    throw caught instanceof InfoFault ? caught : new InfoFault("it is not valid YAML");
  }
}

function entriesOf(map: YAMLMap): [string, unknown][] {
  return map.items.map(({ key, value }) => {
    const name = rawText(key);
    if (name === null) throw new InfoFault("it has a key that is no text");
    return [name, value];
  });
}

/** Of a scalar, as it stands there without its quotes; null for anything else. */
function rawText(node: unknown): string | null {
  if (node === null) return "";
  if (!isScalar(node)) return null;
  const text = node.source ?? "";
  if (node.tag !== "tag:yaml.org,2002:binary") return text;
  const bytes = Buffer.from(text, "base64");
  const decoded = bytes.toString("utf8");
  return Buffer.from(decoded, "utf8").equals(bytes) ? decoded : null;
}

function textOf(keys: Keys, key: string): string | null {
  const text = rawText(keys.get(key) ?? null);
  if (text === null) throw new InfoFault(`${key} is no text`);
  return text === "" ? null : text;
}

function converted<Value>(keys: Keys, key: string, convert: (text: string) => Value | null): Value | null {
  const text = textOf(keys, key);
  if (text === null || /^(~|null)$/i.test(text)) return null;
  const value = convert(text);
  if (value === null) throw new InfoFault(`${key} cannot be read`);
  return value;
}

function wholeNumber(text: string): number | null {
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

function truth(text: string): boolean | null {
  if (/^(y|yes|true|on)$/i.test(text)) return true;
  return /^(n|no|false|off)$/i.test(text) ? false : null;
}

function userDataOf(keys: Keys): UserData {
  const node = keys.get("user_data") ?? null;
  if (isScalar(node) && /^(|~|null)$/i.test(node.source ?? "")) return {};
  if (node === null) return {};
  if (!isMap(node)) throw new InfoFault("user_data is no list of keys and values");
  return Object.fromEntries(
    entriesOf(node).map(([key, value]) => {
      const text = rawText(value);
      if (text === null) throw new InfoFault("user_data holds a value that is no text");
      return [key, text];
    }),
  );
}

export function writeModelInfo(model: { readonly modelId: string; readonly userData: UserData }): string {
  return `model_id: ${lineScalar(model.modelId)}\n${userDataLines(model.userData)}`;
}

export interface VersionFacts {
  readonly modelId: string;
  readonly versionNumber: number;
  readonly creationTimestamp: bigint;
  readonly dataHash: string;
  readonly dataBytes: number;
  readonly userData: UserData;
}

export function writeVersionInfo(facts: VersionFacts): string {
  return [
    `model_id: ${lineScalar(facts.modelId)}`,
    `version_number: ${facts.versionNumber}`,
    `creation_timestamp: ${writeTimestamp(facts.creationTimestamp)}`,
    `data_hash: ${lineScalar(facts.dataHash)}`,
    `data_size: ${facts.dataBytes}`,
    userDataLines(facts.userData),
  ].join("\n");
}

/** Longer keys must be announced, or a reader of YAML 1.1 does not look for their colon. */
const MAX_PLAIN_KEY_CHARACTERS = 128;

function userDataLines(userData: UserData): string {
  const entries = Object.entries(userData).sort(([one], [other]) => byNaturalOrder(one, other));
  if (entries.length === 0) return "user_data: {}\n";
  const lines = entries.map(([key, value]) => {
    const name = lineScalar(key);
    const text = valueScalar(value, 2);
    return name.length > MAX_PLAIN_KEY_CHARACTERS ? `  ? ${name}\n  : ${text}\n` : `  ${name}: ${text}\n`;
  });
  return `user_data:\n${lines.join("")}`;
}

/** Runs of digits by their value: 9 before 10. */
function byNaturalOrder(one: string, other: string): number {
  const parts = one.match(/\d+|\D/gu) ?? [];
  const others = other.match(/\d+|\D/gu) ?? [];
  for (const [index, part] of parts.entries()) {
    const against = others[index];
    if (against === undefined) return 1;
    if (part === against) continue;
    const areNumbers = /^\d/.test(part) && /^\d/.test(against);
    const order = areNumbers ? Number(part) - Number(against) : 0;
    return order !== 0 ? order : part < against ? -1 : 1;
  }
  return parts.length - others.length;
}
