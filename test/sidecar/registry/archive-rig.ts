/** Archives of Cogment's, written byte by byte, and a real registry to bring them into. */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import type { VersionInfo } from "../../../core/contract/registry.js";
import type { ItemEvent, TransferEvent } from "../../../core/contract/registry-transfer.js";
import type { Registry } from "../../../sidecar/registry/registry.js";

export function hashOf(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("base64");
}

/** A version's info as Cogment writes it. */
export function infoText(modelId: string, versionNumber: number, data: Uint8Array): string {
  return [
    `model_id: ${/^\d+$/.test(modelId) ? `"${modelId}"` : modelId}`,
    `version_number: ${versionNumber}`,
    `creation_timestamp: 2021-10-01T20:10:05.${String(versionNumber).padStart(9, "0").replace(/0+$/, "")}Z`,
    `data_hash: ${hashOf(data)}`,
    `data_size: ${data.byteLength}`,
    `user_data:\n  number: "${versionNumber}"\n`,
  ].join("\n");
}

export type Files = Readonly<Record<string, string | Uint8Array>>;

/** @param files by their paths below the folder */
export function writeFiles(dir: string, files: Files): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(dir, path, ".."), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
}

/** A model with these versions, whole. */
export function modelFiles(modelId: string, versions: Readonly<Record<number, Uint8Array>>): Files {
  const files: Record<string, string | Uint8Array> = {
    [`${modelId}/${modelId}.yaml`]: `model_id: ${/^\d+$/.test(modelId) ? `"${modelId}"` : modelId}\nuser_data:\n  team: ward\n`,
  };
  for (const [number, data] of Object.entries(versions)) {
    const stem = `${modelId}/${modelId}-v${number.padStart(6, "0")}`;
    files[`${stem}.yaml`] = infoText(modelId, Number(number), data);
    files[`${stem}.data`] = data;
  }
  return files;
}

/** Every file below a folder, with its bytes as text in base64. */
export function readTree(dir: string): Record<string, string> {
  const names = readdirSync(dir, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => statSync(join(dir, name)).isFile());
  return Object.fromEntries(files.sort().map((name) => [name, readFileSync(join(dir, name)).toString("base64")]));
}

export const FOREVER = new AbortController().signal;

export async function allOf(events: AsyncIterable<TransferEvent>): Promise<TransferEvent[]> {
  const all: TransferEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** What was left out or noted, a line each: `<model or name> <version> <problem>`. */
export function remarks(events: readonly TransferEvent[], outcome: ItemEvent["outcome"]): string[] {
  return events.flatMap((event) =>
    event.event === "item" && event.outcome === outcome
      ? [[event.modelId ?? event.name, event.versionNumber, event.problem].filter((each) => each !== null).join(" ")]
      : [],
  );
}

export async function readVersion(registry: Registry, modelId: string, number: number): Promise<Buffer> {
  const { stream } = await registry.open(modelId, number, { chunkBytes: 65_536 });
  return buffer(stream);
}

export interface Stored {
  readonly userData: Readonly<Record<string, string>>;
  readonly versions: readonly (VersionInfo & { readonly data: string })[];
}

/** Everything archived there is, bytes included. */
export async function contentsOf(registry: Registry): Promise<Record<string, Stored>> {
  const contents: [string, Stored][] = [];
  for (const { modelId, userData } of registry.models({ skip: 0, limit: 0 })) {
    const versions: Stored["versions"][number][] = [];
    for (const info of registry.versions(modelId, { from: 1, limit: 0 })) {
      if (!info.archived) continue;
      versions.push({ ...info, data: (await readVersion(registry, modelId, info.versionNumber)).toString("base64") });
    }
    contents.push([modelId, { userData, versions }]);
  }
  return Object.fromEntries(contents);
}
