import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { RegistrySettings } from "./registry.js";
import type { TransientKey, Transients } from "./transients.js";
export async function openTransients({
  settings,
}: {
  dir: string;
  settings: () => RegistrySettings;
  logger: unknown;
}): Promise<Transients> {
  const held = new Map<string, { key: TransientKey; bytes: Buffer }>();
  const newest = new Map<number, number>();
  let evicted = (_key: TransientKey) => {};
  const id = (key: TransientKey) => `${key.instance}/${key.versionNumber}`;
  const evict = () => {
    for (const { key } of [...held.values()]) {
      if (held.size <= settings().cacheMaxItems) return;
      if (newest.get(key.instance) === key.versionNumber) continue;
      held.delete(id(key));
      evicted(key);
    }
  };
  return {
    async receive() {
      const chunks: Uint8Array[] = [];
      return {
        get receivedBytes() {
          return chunks.reduce((a, b) => a + b.byteLength, 0);
        },
        async write(chunk) {
          chunks.push(chunk);
        },
        async seal() {
          const b = Buffer.concat(chunks);
          return { hash: createHash("sha256").update(b).digest("base64"), bytes: b.byteLength };
        },
        keep(key) {
          held.set(id(key), { key, bytes: Buffer.concat(chunks) });
          newest.set(key.instance, key.versionNumber);
          evict();
        },
        async discard() {},
      };
    },
    async open(key, { range }) {
      const found = held.get(id(key));
      return found
        ? { stream: Readable.from([found.bytes.subarray(range?.first ?? 0, (range?.last ?? found.bytes.length) + 1)]) }
        : null;
    },
    touch(key) {
      const f = held.get(id(key));
      if (f) {
        held.delete(id(key));
        held.set(id(key), f);
      }
    },
    remove(key) {
      held.delete(id(key));
    },
    setNewest(instance, n) {
      newest.set(instance, n);
      evict();
    },
    onEvicted(l) {
      evicted = l;
    },
    async close() {},
  };
}
