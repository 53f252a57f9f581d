/** The registry on this machine: the rules of {@link Registry} over a store, an archive and memory. */
import { SluiceError } from "../../core/contract/errors.js";
import {
  type Alias,
  checkModelId,
  type RegistryModel,
  shownId,
  type VersionInfo,
  type VersionReference,
} from "../../core/contract/registry.js";
import { Aliases } from "./aliases.js";
import { type CompleteVersion, commitArchived, commitTransient } from "./commit-version.js";
import { Deletion } from "./deletion.js";
import type { ImportHeader } from "./importer.js";
import { placeOf } from "./places.js";
import type {
  DataOptions,
  Registry,
  RegistryChange,
  Upload,
  VersionData,
  VersionHeader,
  VersionUse,
} from "./registry.js";
import { type RegistryParts, settled } from "./registry-parts.js";
import { VersionReads } from "./version-reads.js";
import { checkHeader, checkRange, checkUserData, numberUsed, versionUnknown } from "./version-rules.js";
import { VersionUpload, type VersionUploadOptions } from "./version-upload.js";

export class LocalRegistry implements Registry {
  readonly #parts: RegistryParts;
  readonly #reads: VersionReads;
  readonly #aliases: Aliases;
  readonly #deletion: Deletion;
  readonly #uploads = new Set<Upload>();
  #uses: () => readonly VersionUse[] = () => [];
  #closing: Promise<void> | undefined;
  #downloads = 0;
  #evictions = 0;

  constructor(parts: RegistryParts) {
    this.#parts = parts;
    this.#reads = new VersionReads(parts);
    this.#aliases = new Aliases(parts, this.#reads);
    this.#deletion = new Deletion({ parts, reads: this.#reads, uses: () => this.#uses() });
    parts.transients.onEvicted(({ instance, versionNumber }) => {
      parts.infos.remove(instance, versionNumber);
      this.#evictions += 1;
    });
  }

  get load(): number {
    return this.#parts.places.load;
  }

  /** Since it was opened. */
  get counts(): { readonly downloads: number; readonly evictions: number } {
    return { downloads: this.#downloads, evictions: this.#evictions };
  }

  async putModel(model: RegistryModel): Promise<void> {
    this.#refuseClosed();
    checkModelId(model.modelId);
    checkUserData(model.userData);
    const { store, changes } = this.#parts;
    const wanted = JSON.stringify(model.userData);
    await settled(store.putModel(model), () =>
      JSON.stringify(store.model(model.modelId)?.userData) === wanted ? undefined : null,
    );
    changes.tell({ type: "model-put", modelId: model.modelId });
  }

  async deleteModel(modelId: string, options: { readonly force: boolean }): Promise<void> {
    this.#refuseClosed();
    await this.#deletion.model(modelId, options);
  }

  model(modelId: string): RegistryModel | null {
    const found = this.#parts.store.model(modelId);
    return found === null ? null : { modelId: found.modelId, userData: found.userData };
  }

  models(page: { readonly skip: number; readonly limit: number }): RegistryModel[] {
    return this.#parts.store.models(page);
  }

  create(header: VersionHeader): Promise<Upload> {
    return this.#create(header);
  }

  /** As {@link Importer.create}. */
  import({ versionNumber, ...header }: ImportHeader): Promise<Upload> {
    return this.#create({ ...header, archived: true }, versionNumber);
  }

  async #create(header: VersionHeader, givenNumber?: number): Promise<Upload> {
    this.#refuseClosed();
    const { settings, places, store } = this.#parts;
    const model = this.#reads.model(header.modelId);
    checkHeader(header, settings().maxVersionBytes);
    // Said before a byte has come; what counts is said at the commit.
    if (givenNumber !== undefined && !store.isNumberOpen(model, givenNumber)) throw numberUsed(givenNumber);
    const giveBack = places.take();
    try {
      const upload: Upload = new VersionUpload({
        header,
        ...(await this.#sink({ instance: model.instance, header, uploadId: null }, givenNumber)),
        onEnd: () => {
          giveBack();
          this.#uploads.delete(upload);
        },
      });
      this.#uploads.add(upload);
      // The end may have come while the place for its bytes was made.
      if (this.#closing !== undefined) await upload.abort();
      return upload;
    } catch (caught) {
      giveBack();
      throw caught;
    }
  }

  version(modelId: string, number: number): VersionInfo {
    return this.#reads.version(this.#reads.model(modelId), number);
  }

  resolve(modelId: string, reference: VersionReference): VersionInfo {
    return this.#reads.resolve(this.#reads.model(modelId), reference);
  }

  versions(modelId: string, page: { readonly from: number; readonly limit: number }): VersionInfo[] {
    return this.#reads.versions(this.#reads.model(modelId), page);
  }

  latest(modelId: string): VersionInfo | null {
    const model = this.#parts.store.model(modelId);
    return model === null ? null : this.#reads.latest(model);
  }

  async open(modelId: string, number: number, options: DataOptions): Promise<VersionData> {
    const model = this.#reads.model(modelId);
    const info = this.#reads.version(model, number);
    if (options.range !== undefined) checkRange(options.range, info);
    const { archive, transients } = this.#parts;
    const { versionNumber } = info;
    const file = info.archived
      ? await archive.open(placeOf(model.instance, modelId, versionNumber), sealOf(info), options)
      : await transients.open({ instance: model.instance, versionNumber }, options);
    if (file === null) throw versionUnknown(modelId, number);
    this.#downloads += 1;
    return { info, stream: file.stream };
  }

  async deleteVersion(modelId: string, number: number, options: { readonly force: boolean }): Promise<void> {
    this.#refuseClosed();
    await this.#deletion.version(modelId, number, options);
  }

  aliases(modelId: string): Alias[] {
    return this.#aliases.all(modelId);
  }

  async setAlias(modelId: string, alias: string, versionNumber: number): Promise<Alias> {
    this.#refuseClosed();
    return this.#aliases.set(modelId, alias, versionNumber);
  }

  async removeAlias(modelId: string, alias: string): Promise<void> {
    this.#refuseClosed();
    await this.#aliases.remove(modelId, alias);
  }

  aliasHistory(modelId: string, alias: string): Alias[] {
    return this.#aliases.history(modelId, alias);
  }

  async packageFile(modelId: string, number: number): Promise<string> {
    const model = this.#reads.model(modelId);
    const info = this.#reads.version(model, number);
    if (!info.archived) throw new SluiceError("VERSION_TRANSIENT", `${described(info)} is a transient one`);
    const place = placeOf(model.instance, modelId, info.versionNumber);
    const problem = await this.#parts.archive.verify(place, sealOf(info), { fresh: false });
    if (problem === "missing") {
      throw new SluiceError("REGISTRY_VERSION_UNKNOWN", `the bytes of ${described(info)} are gone`);
    }
    if (problem !== null) throw new SluiceError("VERSION_DAMAGED", `the bytes of ${described(info)} are ${problem}`);
    return this.#parts.archive.pathOf(place);
  }

  followUses(uses: () => readonly VersionUse[]): void {
    this.#uses = uses;
  }

  onChange(listener: (change: RegistryChange) => void): () => void {
    return this.#parts.changes.listen(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#uploads].map((upload) => upload.abort()));
    await this.#parts.locks.idle();
    await this.#parts.removals.run();
  }

  async #sink(
    upload: Omit<CompleteVersion, "seal">,
    givenNumber: number | undefined,
  ): Promise<Pick<VersionUploadOptions, "sink" | "complete">> {
    const parts = this.#parts;
    const { header } = upload;
    if (header.archived) {
      const given = givenNumber === undefined ? {} : { givenNumber };
      const sink = await parts.archive.receive();
      return {
        sink,
        complete: (seal) => commitArchived(parts, { ...upload, ...given, seal }, sink),
      };
    }
    const sink = await parts.transients.receive(header.dataBytes);
    return { sink, complete: (seal) => commitTransient(parts, { ...upload, seal }, sink) };
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) throw new SluiceError("SHUTTING_DOWN", "the registry is stopping");
  }
}

function sealOf({ dataHash, dataBytes }: VersionInfo): { hash: string; bytes: number } {
  return { hash: dataHash, bytes: dataBytes };
}

function described({ modelId, versionNumber }: VersionInfo): string {
  return `version ${versionNumber} of model ${shownId(modelId)}`;
}
