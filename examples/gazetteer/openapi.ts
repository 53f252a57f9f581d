import type { Route } from "./route.js";

/** A small, true OpenAPI document: paths, methods and summaries. */
export function describeApi(routes: readonly Route[]) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const { method, path, summary } of routes.filter((route) => !route.path.startsWith("/misbehave/"))) {
    const operation = { summary, responses: { default: { description: summary } } };
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation };
  }
  return { openapi: "3.1.0", info: { title: "gazetteer", version: "0.1.0" }, paths };
}

export const DOCS_PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>gazetteer</title></head>
<body><h1>gazetteer</h1><p>A small model server. What it offers is in <a href="openapi.json">openapi.json</a>.</p></body></html>
`;
