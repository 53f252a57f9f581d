/** Imports and exports in a process of their own, which holds the data folder: the command without a running Sluice. */
import type { RegistryFiles } from "../../config/registry-files.js";
import type { Config } from "../../config/schema.js";
import type { ExportRequest, ImportRequest, TransferEvent } from "../../core/contract/registry-transfer.js";
import type { Logger } from "../../core/runtime/logger.js";
import { registrySettingsOf } from "../settings.js";
import { Transfers } from "./cogment/transfers.js";
import { openRegistry } from "./open-registry.js";

export interface OfflineTransfer {
  readonly config: Config;
  readonly files: Pick<RegistryFiles, "databaseFile" | "archiveDir">;
  readonly logger: Logger;
  readonly transfer:
    | { readonly kind: "import"; readonly request: ImportRequest }
    | { readonly kind: "export"; readonly request: ExportRequest };
  readonly signal: AbortSignal;
}

/** @throws as the run it is, and as {@link openRegistry} */
export async function* transferOffline(options: OfflineTransfer): AsyncGenerator<TransferEvent> {
  const { config, files, logger, transfer, signal } = options;
  const open = await openRegistry({
    databaseFile: files.databaseFile,
    archiveDir: files.archiveDir,
    settings: () => registrySettingsOf(config),
    logger,
  });
  try {
    const transfers = new Transfers(open);
    yield* transfer.kind === "import"
      ? transfers.import(transfer.request, signal)
      : transfers.export(transfer.request, signal);
  } finally {
    await open.close();
  }
}
