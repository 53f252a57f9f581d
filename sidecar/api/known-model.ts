/** What the routes of models share. */
import { SluiceError } from "../../core/contract/errors.js";
import { type DeploymentType, type ModelEntry, unavailableMessage } from "../../core/contract/models.js";
import type { ModelCatalogue } from "../models/catalogue.js";

/** @throws MODEL_UNKNOWN */
export function known(nameOrAddress: string, catalogue: ModelCatalogue): ModelEntry {
  const entry = catalogue.get(nameOrAddress);
  if (entry === undefined) throw new SluiceError("MODEL_UNKNOWN", unavailableMessage(nameOrAddress, catalogue.list()));
  return entry;
}

/** What an entry alone says. */
export function deploymentTypeOf(entry: ModelEntry): DeploymentType {
  return entry.deploymentType ?? (entry.source === "process" ? "auto" : "static");
}
