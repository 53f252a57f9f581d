/** Where a model is, as MLflow and model servers write it. Pure. */

export type ModelLocation =
  /** `runs:/<run>/<folder>`: among a run's artifacts. */
  | { readonly kind: "run"; readonly runId: string; readonly path: string }
  /** `<root>/<folder>`, the root being the place where a run's artifacts are kept: `s3://bucket/1/<run>/artifacts/model`. */
  | { readonly kind: "store"; readonly runId: string; readonly path: string; readonly root: string }
  /** `models:/<name>/<version>`. */
  | { readonly kind: "version"; readonly name: string; readonly version: string }
  /** `models:/<name>@<alias>`. */
  | { readonly kind: "alias"; readonly name: string; readonly alias: string }
  /** `models:/<name>/latest` (null), `models:/<name>/<stage>`. */
  | { readonly kind: "newest"; readonly name: string; readonly stage: string | null };

/** Null for what MLflow cannot be asked about (a folder anywhere), and for what is written wrong. */
export function readModelUri(uri: string): ModelLocation | null {
  const [, scheme, rest] = /^(runs|models):(?:\/\/[^/]*)?\/+(.*)$/s.exec(uri) ?? [];
  if (rest === undefined) return readStored(uri);
  const parts = rest.replace(/\/+$/, "").split("/");
  if (!parts.every(isPlain)) return null;
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

/** The store's own folders may be called `artifacts` too, so a run's id as MLflow makes it goes first. */
const STORED = [/^(.+?\/([0-9a-f]{32})\/artifacts)\/(.+)$/s, /^(.+\/([^/]+)\/artifacts)\/(.+)$/s];

function readStored(uri: string): ModelLocation | null {
  const bare = uri.replace(/\/+$/, "");
  const [, root, runId, path] = STORED.map((form) => form.exec(bare)).find((found) => found !== null) ?? [];
  if (root === undefined || !/^[a-z][a-z0-9+.-]*:\//.test(root) || !path!.split("/").every(isPlain)) return null;
  return { kind: "store", runId: runId!, path: path!, root };
}

function isPlain(part: string): boolean {
  return part !== "" && part !== "." && part !== "..";
}

/** The path of a run's artifact root below MLflow's proxy; null where its artifacts are kept elsewhere. */
export function proxiedRoot(artifactUri: string): string | null {
  return /^mlflow-artifacts:(?:\/\/[^/]*)?\/+(.*[^/])/s.exec(artifactUri)?.[1] ?? null;
}

/** Whether two URIs name one place: MLflow writes its proxy with and without its host. */
export function isSameRoot(one: string, other: string): boolean {
  const bare = (uri: string) => proxiedRoot(uri) ?? uri.replace(/\/+$/, "");
  return bare(one) === bare(other);
}
