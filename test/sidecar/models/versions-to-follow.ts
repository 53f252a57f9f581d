/** A real registry of tiny versions, for models that follow them; their numbers count from 1. */
import { join } from "node:path";
import type { Test } from "tap";
import { registryUri } from "../../../core/contract/registry.js";
import type { Registry } from "../../../sidecar/registry/registry.js";
import { push, startRig } from "../registry/local-rig.js";

export class VersionsToFollow {
  readonly registry: Registry;

  private constructor(registry: Registry) {
    this.registry = registry;
  }

  /** @param dataDir a data folder: what an earlier process left in it is there */
  static async open(dataDir: string, t?: Test): Promise<VersionsToFollow> {
    const { registry, close } = await startRig(join(dataDir, "registry"));
    t?.teardown(close);
    return new VersionsToFollow(registry);
  }

  /** The model's next version. @returns its URI */
  async add(modelId: string): Promise<string> {
    if (this.registry.model(modelId) === null) await this.registry.putModel({ modelId, userData: {} });
    const { versionNumber } = await push(this.registry, modelId, "a version");
    return registryUri({ modelId, version: versionNumber });
  }

  async remove(modelId: string, versionNumber: number): Promise<void> {
    await this.registry.deleteVersion(modelId, versionNumber, { force: true });
  }

  async point(modelId: string, alias: string, versionNumber: number): Promise<void> {
    await this.registry.setAlias(modelId, alias, versionNumber);
  }
}
