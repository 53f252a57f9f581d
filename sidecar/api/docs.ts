/** `/openapi.json`, and `/docs` with Swagger UI from the installed package's files. Nothing of it is loaded before somebody asks. */
import { createReadStream, readFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { FastifyInstance } from "fastify";
import { SluiceError } from "../../core/contract/errors.js";
import { bothForms } from "./replies.js";

/** The page runs its own scripts, asks this host, and nothing else. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Relative, so that they hold below another path too. */
const START = `"use strict";
SwaggerUIBundle({
  url: new URL("../openapi.json", document.currentScript.src).href,
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
`;

const FILES: Readonly<Record<string, string>> = {
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "swagger-ui.css": "text/css; charset=utf-8",
  "favicon-32x32.png": "image/png",
};

export function registerDocs(app: FastifyInstance): void {
  let document: Promise<string> | undefined;
  for (const url of bothForms("/openapi.json")) {
    app.get(url, async (_request, reply) => {
      document ??= writeDocument();
      return reply
        .header("content-type", "application/json")
        .header("cache-control", "no-cache")
        .send(await document);
    });
  }
  for (const url of bothForms("/docs")) {
    app.get(url, async (_request, reply) => {
      void reply.header("content-security-policy", POLICY).header("x-content-type-options", "nosniff");
      return reply.header("content-type", "text/html; charset=utf-8").send(page(url.endsWith("/") ? "." : "docs"));
    });
  }
  app.get("/docs/start.js", async (_request, reply) =>
    reply.header("content-type", "text/javascript; charset=utf-8").send(START),
  );
  app.get<{ Params: { file: string } }>("/docs/:file", async ({ params }, reply) => {
    const type = Object.hasOwn(FILES, params.file) ? FILES[params.file]! : null;
    if (type === null) throw new SluiceError("NOT_FOUND", "Not Found");
    const path = join(filesFolder(), params.file);
    void reply.header("content-type", type).header("content-length", (await stat(path)).size);
    return reply.header("cache-control", "max-age=3600").send(createReadStream(path));
  });
}

function page(files: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Sluice</title>
<link rel="stylesheet" href="${files}/swagger-ui.css">
<link rel="icon" type="image/png" href="${files}/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="${files}/swagger-ui-bundle.js"></script>
<script src="${files}/start.js"></script>
</body>
</html>
`;
}

function filesFolder(): string {
  return join(dirname(createRequire(import.meta.url).resolve("@fastify/swagger-ui/package.json")), "static");
}

async function writeDocument(): Promise<string> {
  const { createDocument } = await import("./openapi/document.js");
  const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return JSON.stringify(createDocument(version));
}
