import { readdirSync, readFileSync } from "node:fs";
import { Validator } from "@seriousme/openapi-schema-validator";
import t from "tap";
import { startModelApi } from "./model-rig.js";

type Document = {
  info: { title: string; version: string };
  paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
};

/** Answered by the proxy itself, or passed on to model servers. */
const ELSEWHERE = ["/livez", "/readyz", "/metrics", "/models/{name}/info", "/models/{name}/{route}"];

const { ask, call } = await startModelApi(t);

t.test("the document is valid OpenAPI 3.1 and names the program and its version", async (t) => {
  for (const path of ["/openapi.json", "/openapi.json/"]) {
    const { status, headers, json } = await ask("GET", path);
    t.equal(status, 200);
    t.match(headers["content-type"], "application/json");
    const validator = new Validator();
    t.same(await validator.validate(json), { valid: true });
    t.equal(validator.version, "3.1");
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    t.match((json as Document).info, { title: "Sluice", version });
  }
});

t.test("every public route in the sources stands in the document", async (t) => {
  const { paths } = (await ask("GET", "/openapi.json")).json as Document;
  const sources = readdirSync("sidecar/api").filter((file) => file.endsWith(".ts"));
  const routes = sources.flatMap((file) =>
    [...readFileSync(`sidecar/api/${file}`, "utf8").matchAll(/bothForms\(\s*"([^"]+)"/g)].map(([, path]) => path!),
  );
  t.ok(routes.length > 15, `${routes.length} routes`);
  for (const route of routes) t.ok(paths[route.replace(/:(\w+)/g, "{$1}")], route);
});

t.test("every route in the document is there, with its methods, in both forms", async (t) => {
  const { paths } = (await ask("GET", "/openapi.json")).json as Document;
  const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
  for (const [path, operations] of Object.entries(paths)) {
    if (ELSEWHERE.includes(path) || path === "/models/{name}/tasks/{task}") continue;
    const asked = path.replace(/\{\w+\}/g, "unknown");
    const described = Object.keys(operations).map((each) => each.toUpperCase());
    // A method no route has is answered with those that some have.
    const { status, headers } = await ask("OPTIONS", asked);
    t.equal(status, 405, path);
    const allowed = String(headers.allow).split(", ");
    t.same(allowed.filter((each) => methods.includes(each)).sort(), described.sort(), `the methods of ${path}`);
    t.equal((await ask("OPTIONS", path === "/" ? "/" : `${asked}/`)).headers.allow, headers.allow, `${path}/`);
  }
});

t.test("the page and everything it loads comes from this host, under a policy that allows no more", async (t) => {
  for (const [path, base] of [
    ["/docs", "/"],
    ["/docs/", "/docs/"],
  ] as const) {
    const { status, headers, text } = await ask("GET", path);
    t.match({ status, type: headers["content-type"] }, { status: 200, type: "text/html" });
    t.match(headers["content-security-policy"], "default-src 'none'; script-src 'self'; style-src 'self'");
    t.notMatch(text, /https?:|style=|<script>|<style>/);
    const links = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link!);
    t.equal(links.length, 4);
    for (const link of links) {
      const { pathname } = new URL(link, `http://sluice${base}`);
      const answer = await call("GET", pathname);
      const size = (await answer.body.text()).length;
      t.match({ status: answer.status, pathname }, { status: 200 });
      t.ok(size > 100, `${pathname} has ${size} bytes`);
    }
  }
  t.match((await ask("GET", "/docs/start.js")).text, 'new URL("../openapi.json"');
  for (const path of ["/docs/package.json", "/docs/..%2findex.js", "/redoc"])
    t.equal((await ask("GET", path)).status, 404, path);
});
