/** General rules, root and health (reference cmg-api 1.1, 1.5, 5.4). */
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hasKeys, refused } from "./answers.js";
import type { Table } from "./table.js";

export const ROOT: Table = {
  id: "root",
  title: "General rules, root and health",
  rows: [
    {
      id: "root-message",
      says: "GET / answers 200 with its well-known message",
      check: async (t, { ask }) => {
        const answer = await ask("GET", "/");
        t.equal(answer.status, 200);
        t.equal(answer.text, '{"message":"Enter the cult... I mean, the API."}');
      },
    },
    {
      id: "root-json",
      says: "JSON answers are compact and of type application/json",
      check: async (t, { ask }) => {
        for (const path of ["/", "/health", "/models/", "/tasks/"]) {
          const answer = await ask("GET", path);
          t.match(answer.headers["content-type"], /^application\/json(; charset=utf-8)?$/, path);
          t.equal(answer.text, JSON.stringify(answer.json), path);
        }
      },
    },
    {
      id: "root-unknown-route",
      says: "a path that is no route answers 404",
      check: async (t, { ask }) => {
        refused(t, await ask("GET", "/nothing/here"), 404);
        refused(t, await ask("POST", "/model"), 404);
      },
    },
    {
      id: "root-wrong-method",
      says: "a wrong method answers 405, and Allow names the methods of the path's first route",
      differs: "Allow names every method of the path, since that is what the header is for",
      check: async (t, { ask }) => {
        for (const [method, path, allowed] of [
          ["PUT", "/models/some-name", ["DELETE", "GET", "POST"]],
          ["POST", "/models/", ["GET"]],
          ["PATCH", "/admin/on-demand", ["GET", "POST"]],
          ["POST", "/admin/on-demand/some-name", ["DELETE", "GET", "PUT"]],
          ["POST", "/", ["GET"]],
          ["POST", "/health", ["GET"]],
          ["GET", "/admin/on-demand/1/enable", ["POST"]],
          ["GET", "/models/static-one/tasks/process", ["POST"]],
        ] as const) {
          const answer = await ask(method, path);
          t.equal(answer.status, 405, `${method} ${path}`);
          const named = String(answer.headers.allow).split(/, */);
          for (const each of allowed) t.ok(named.includes(each), `${method} ${path}: Allow has ${each}`);
        }
      },
    },
    {
      id: "root-head-options",
      says: "HEAD and OPTIONS answer 405",
      differs: "HEAD works where it helps: /tasks/{uuid}, so that a download knows its size first",
      check: async (t, { ask }) => {
        for (const method of ["HEAD", "OPTIONS"]) {
          for (const path of ["/", "/models/", "/admin/on-demand"]) {
            t.equal((await ask(method, path)).status, 405, `${method} ${path}`);
          }
        }
      },
    },
    {
      id: "root-encoded-slash",
      says: "an encoded slash in a path never matches a name: 404",
      differs: "400: a path that two servers could read in two ways is refused",
      check: async (t, { ask }) => {
        refused(t, await ask("GET", "/models/a%2Fb"), 400);
        refused(t, await ask("GET", "/admin/on-demand/a%2Fb"), 400);
      },
    },
    {
      id: "root-unknown-parameters",
      says: "query parameters and JSON fields nobody knows are ignored",
      check: async (t, { ask }) => {
        t.equal((await ask("GET", "/models/?nonsense=1")).status, 200);
        t.equal((await ask("GET", "/admin/on-demand?nonsense=1")).status, 200);
        const json = { model_name: "extra-fields", model_uri: "models:/x/1", nonsense: { deep: [1] } };
        t.equal((await ask("POST", "/admin/on-demand?nonsense=1", { json })).status, 201);
        t.equal((await ask("PUT", "/admin/on-demand/extra-fields", { json: { nonsense: 1 } })).status, 200);
      },
    },
    {
      id: "root-no-authentication",
      says: "nothing asks for authentication; whatever is sent is ignored",
      check: async (t, { ask }) => {
        const headers = { authorization: "Bearer nonsense", cookie: "a=b" };
        t.equal((await ask("GET", "/models/", { headers })).status, 200);
      },
    },
    {
      id: "root-openapi",
      says: "/openapi.json describes the API in OpenAPI 3.1",
      check: async (t, { ask }) => {
        const { status, json } = await ask("GET", "/openapi.json");
        t.equal(status, 200);
        t.match(json?.openapi, /^3\.1\./);
        const paths = Object.keys(json?.paths ?? {}).map((path) => path.replace(/\/$/, ""));
        for (const path of [
          "/health",
          "/models",
          "/models/{name}",
          "/tasks/{uuid}",
          "/admin/on-demand",
          "/admin/on-demand/{name}",
          "/admin/on-demand/{name}/history",
          "/admin/on-demand/{id}/enable",
        ]) {
          const shape = path.replace(/\{\w+\}/g, "{}");
          t.ok(
            paths.some((each) => each.replace(/\{\w+\}/g, "{}") === shape),
            path,
          );
        }
      },
    },
    {
      id: "root-docs",
      says: "/docs is a page to read and try the API",
      check: async (t, { ask }) => {
        let answer = await ask("GET", "/docs");
        if (answer.status === 302 || answer.status === 301) {
          answer = await ask("GET", new URL(answer.headers.location!, "http://sluice/docs").pathname);
        }
        t.equal(answer.status, 200);
        t.match(answer.headers["content-type"], /^text\/html/);
        t.notMatch(answer.text, /(src|href)="https?:/, "nothing is loaded from elsewhere");
      },
    },
    {
      id: "root-redoc",
      says: "/redoc is a second such page",
      differs: "there is one page, /docs, served from Sluice's own files; /redoc answers 404",
      check: async (t, { ask }) => refused(t, await ask("GET", "/redoc"), 404),
    },
    {
      id: "health-good",
      says: "GET /health, all well: 200, status and four components, each healthy",
      check: async (t, { ask }) => {
        const { status, json } = await ask("GET", "/health");
        t.equal(status, 200);
        t.equal(json.status, "healthy");
        const parts = ["database", "task_object_store", "results_object_store", "queue"];
        for (const part of parts) t.equal(json.components[part], "healthy", part);
        hasKeys(t, json, "status", "components");
      },
    },
    {
      id: "health-bad",
      says: "GET /health, something wrong: 503, detail.status unhealthy and an error text",
      differs: "detail.components says which part it is, as CMG meant to; the object stores are really tried",
      check: async (t, { ask, sluice, until }) => {
        const folder = join(sluice.dataDir, "results");
        await rename(folder, `${folder}.aside`);
        await writeFile(folder, "in the way");
        await until("unhealthy", async () => (await ask("GET", "/health")).status === 503);
        const { json } = await ask("GET", "/health");
        t.equal(json.detail?.status, "unhealthy");
        t.match(json.detail?.components, { database: "healthy", results_object_store: "unhealthy" });
        await rm(folder);
        await rename(`${folder}.aside`, folder);
        await until("healthy", async () => (await ask("GET", "/health")).status === 200);
      },
    },
  ],
};
