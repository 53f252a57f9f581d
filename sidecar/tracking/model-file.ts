/** The file `MLmodel` that lies in each model's folder: YAML, as MLflow writes it. Pure. */
import { parseText } from "../../config/yaml.js";

export interface ModelFile {
  readonly uuid: string;
  readonly runId: string;
  readonly artifactPath: string;
  readonly createdUtc: string;
  readonly mlflowVersion: string;
  /** Empty where the model has none. */
  readonly signature: Readonly<Record<string, unknown>>;
  readonly flavors: Readonly<Record<string, unknown>>;
}

/** Null when the text is something else, such as a page that answers every path. */
export function readModelFile(text: string): ModelFile | null {
  const { value, problems } = parseText(text);
  if (problems.length > 0) return null;
  const file = mapping(value);
  const flavors = mapping(file?.flavors);
  if (file === null || flavors === null) return null;
  return {
    uuid: textOf(file.model_uuid),
    runId: textOf(file.run_id),
    artifactPath: textOf(file.artifact_path),
    createdUtc: textOf(file.utc_time_created),
    mlflowVersion: textOf(file.mlflow_version),
    signature: mapping(file.signature) ?? {},
    flavors,
  };
}

function mapping(value: unknown): Record<string, unknown> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null;
}

function textOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}
