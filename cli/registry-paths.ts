/** Where the registry's things stand in the API. Pure. */

export function modelPath(modelId: string): string {
  return `/registry/models/${encodeURIComponent(modelId)}`;
}

/** @param version a number, `latest` or an alias */
export function versionPath(modelId: string, version: string | number): string {
  return `${modelPath(modelId)}/versions/${encodeURIComponent(version)}`;
}

export function aliasPath(modelId: string, alias: string): string {
  return `${modelPath(modelId)}/aliases/${encodeURIComponent(alias)}`;
}
