/** What transient versions there are, in memory: gone with the process, as their bytes are. */
import type { VersionInfo } from "../../../core/contract/registry.js";
import { firstNotBelow } from "./first-not-below.js";

interface ModelInfos {
  /** Ascending: numbers only grow. */
  readonly numbers: number[];
  readonly infos: Map<number, VersionInfo>;
}

export class TransientInfos {
  readonly #models = new Map<number, ModelInfos>();
  #versions = 0;
  #bytes = 0;

  get totals(): { readonly versions: number; readonly bytes: number } {
    return { versions: this.#versions, bytes: this.#bytes };
  }

  /** @param info above all others of its model */
  add(instance: number, info: VersionInfo): void {
    let model = this.#models.get(instance);
    if (model === undefined) {
      model = { numbers: [], infos: new Map() };
      this.#models.set(instance, model);
    }
    model.numbers.push(info.versionNumber);
    model.infos.set(info.versionNumber, info);
    this.#count(1, info.dataBytes);
  }

  get(instance: number, number: number): VersionInfo | null {
    return this.#models.get(instance)?.infos.get(number) ?? null;
  }

  newest(instance: number): VersionInfo | null {
    const model = this.#models.get(instance);
    return model?.infos.get(model.numbers.at(-1)!) ?? null;
  }

  /** Ascending from a number on. @param limit 0: all */
  slice(instance: number, { from, limit }: { from: number; limit: number }): VersionInfo[] {
    const model = this.#models.get(instance);
    if (model === undefined) return [];
    const first = indexOf(model.numbers, from);
    const numbers = model.numbers.slice(first, limit === 0 ? undefined : first + limit);
    return numbers.map((number) => model.infos.get(number)!);
  }

  /** @returns whether it was there */
  remove(instance: number, number: number): boolean {
    const model = this.#models.get(instance);
    const info = model?.infos.get(number);
    if (model === undefined || info === undefined) return false;
    model.infos.delete(number);
    this.#count(-1, -info.dataBytes);
    model.numbers.splice(indexOf(model.numbers, number), 1);
    if (model.numbers.length === 0) this.#models.delete(instance);
    return true;
  }

  /** @returns the numbers there were */
  removeModel(instance: number): readonly number[] {
    const model = this.#models.get(instance);
    this.#models.delete(instance);
    for (const { dataBytes } of model?.infos.values() ?? []) this.#count(-1, -dataBytes);
    return model?.numbers ?? [];
  }

  #count(versions: number, bytes: number): void {
    this.#versions += versions;
    this.#bytes += bytes;
  }
}

function indexOf(numbers: readonly number[], number: number): number {
  return firstNotBelow(numbers, number, (each) => each);
}
