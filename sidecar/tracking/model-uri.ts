/** Where a model is, as MLflow writes it. Pure. */

export type ModelLocation =
  /** `runs:/<run>/<folder>`: among a run's artifacts. */
  | { readonly kind: "run"; readonly runId: string; readonly path: string }
  /** `models:/<name>/<version>`. */
  | { readonly kind: "version"; readonly name: string; readonly version: string }
  /** `models:/<name>@<alias>`. */
  | { readonly kind: "alias"; readonly name: string; readonly alias: string }
  /** `models:/<name>/latest` (null), `models:/<name>/<stage>`. */
  | { readonly kind: "newest"; readonly name: string; readonly stage: string | null }
  /** `mlflow-artifacts:/<folder>`: in the store behind MLflow's own proxy. */
  | { readonly kind: "artifact"; readonly path: string };

/** Null for what MLflow's server cannot be asked about (`s3://…`, a folder), and for what is written wrong. */
export function readModelUri(uri: string): ModelLocation | null {
  const [, scheme, rest] = /^(runs|models|mlflow-artifacts):(?:\/\/[^/]*)?\/+(.*)$/s.exec(uri) ?? [];
  if (rest === undefined) return null;
  const parts = rest.replace(/\/+$/, "").split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) return null;
  if (scheme === "mlflow-artifacts") return { kind: "artifact", path: parts.join("/") };
  if (scheme === "models") return readRegistered(parts);
  const [runId, ...path] = parts;
  return path.length === 0 ? null : { kind: "run", runId: runId!, path: path.join("/") };
}

function readRegistered([name, version, ...more]: string[]): ModelLocation | null {
  if (name === undefined || more.length > 0) return null;
  if (version === undefined) {
    const [, bare, alias] = /^(.+)@([^@]+)$/s.exec(name) ?? [];
    return bare === undefined ? null : { kind: "alias", name: bare, alias: alias! };
  }
  if (/^\d+$/.test(version)) return { kind: "version", name, version };
  return { kind: "newest", name, stage: version.toLowerCase() === "latest" ? null : version };
}

/** The path of a run's artifact root below MLflow's proxy; null where its artifacts are kept elsewhere. */
export function proxiedRoot(artifactUri: string): string | null {
  const location = readModelUri(artifactUri);
  return location?.kind === "artifact" ? location.path : null;
}

/** The run whose artifact root a folder behind MLflow's proxy lies in: `<experiment>/<run>/artifacts/…`. */
export function runOfArtifact(path: string): string | null {
  return /(?:^|\/)[^/]+\/([^/]+)\/artifacts(?:\/|$)/.exec(path)?.[1] ?? null;
}
