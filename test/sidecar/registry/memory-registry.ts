/** Stand-in until the real one is there. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { SluiceError } from "../../../core/contract/errors.js";
import { checkModelId, type RegistryModel, type VersionInfo } from "../../../core/contract/registry.js";
import type { Registry, RegistryChange } from "../../../sidecar/registry/registry.js";

interface Model {
  model: RegistryModel;
  next: number;
  versions: Map<number, { info: VersionInfo; data: Buffer }>;
}

export function memoryRegistry(): Registry {
  const models = new Map<string, Model>();
  const listeners = new Set<(change: RegistryChange) => void>();
  const tell = (change: RegistryChange) => {
    for (const listener of listeners) listener(change);
  };
  const need = (id: string) => {
    const model = models.get(id);
    if (!model) throw new SluiceError("REGISTRY_MODEL_UNKNOWN", `no model ${id}`);
    return model;
  };
  const latest = (id: string) => [...(models.get(id)?.versions.values() ?? [])].at(-1)?.info ?? null;
  const at = (id: string, number: number) => {
    const model = need(id);
    const n = number < 0 ? (latest(id)?.versionNumber ?? 0) + number + 1 : number;
    const version = n < 1 ? undefined : model.versions.get(n);
    if (!version) throw new SluiceError("REGISTRY_VERSION_UNKNOWN", "no version");
    return version;
  };
  const registry: Partial<Registry> = {
    async putModel(model) {
      checkModelId(model.modelId);
      const known = models.get(model.modelId);
      if (known) known.model = model;
      else models.set(model.modelId, { model, next: 1, versions: new Map() });
    },
    async deleteModel(id) {
      need(id);
      models.delete(id);
      tell({ type: "model-deleted", modelId: id });
    },
    model: (id) => models.get(id)?.model ?? null,
    models: ({ skip, limit }) =>
      [...models.keys()]
        .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        .slice(skip, limit === 0 ? undefined : skip + limit)
        .map((id) => models.get(id)!.model),
    async create(header) {
      need(header.modelId);
      const chunks: Uint8Array[] = [];
      return {
        receivedBytes: 0,
        async write(chunk) {
          chunks.push(chunk);
        },
        async commit() {
          const model = need(header.modelId);
          const data = Buffer.concat(chunks);
          const hash = createHash("sha256").update(data).digest("base64");
          if (header.dataHash !== null && header.dataHash !== hash)
            throw new SluiceError(
              "VERSION_REJECTED",
              `received data did not match the expected hash, expected "${header.dataHash}", received "${hash}"`,
            );
          const info: VersionInfo = {
            modelId: header.modelId,
            versionNumber: model.next++,
            creationTimestamp: header.creationTimestamp ?? BigInt(Date.now()) * 1_000_000n,
            archived: header.archived,
            dataHash: hash,
            dataBytes: data.length,
            userData: header.userData,
          };
          model.versions.set(info.versionNumber, { info, data });
          tell({ type: "version-created", info });
          return info;
        },
        async abort() {},
      };
    },
    version: (id, number) => at(id, number).info,
    versions: (id, { from, limit }) =>
      [...need(id).versions.values()]
        .map(({ info }) => info)
        .filter(({ versionNumber }) => versionNumber >= from)
        .slice(0, limit === 0 ? undefined : limit),
    latest,
    async open(id, number, { chunkBytes }) {
      const { info, data } = at(id, number);
      return {
        info,
        stream: Readable.from(
          (function* () {
            for (let i = 0; i < data.length; i += chunkBytes) yield data.subarray(i, i + chunkBytes);
          })(),
        ),
      };
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {},
  };
  return registry as Registry;
}
