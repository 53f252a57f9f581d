/** Name rules (reference cmg-api 3.3). */
import { refused } from "./answers.js";
import type { Table } from "./table.js";

const GOOD = ["ab", "A9", "a.b", "a_b", "a-b", "0", "x", "a..b", "a-", "n".repeat(255)];
const BAD = ["-a", ".a", "_a", "a b", "a$b", "a;b", "a'b", "é", "a\tb", "a\nb", "a:b", "a@b", "../a"];
const path = (name: string) => encodeURIComponent(name);

export const NAMES: Table = {
  id: "names",
  title: "Names of models",
  rows: [
    {
      id: "names-config",
      says: "on-demand configurations: a letter or digit, then letters, digits, _ . -, at most 255; else 400",
      check: async (t, { ask }) => {
        const create = (model_name: string) =>
          ask("POST", "/admin/on-demand", { json: { model_name, model_uri: "u" } });
        for (const name of GOOD) t.equal((await create(name)).status, 201, name);
        for (const name of BAD) refused(t, await create(name), 400, /Invalid model name/);
        refused(t, await create(""), 400);
      },
    },
    {
      id: "names-config-long",
      says: "256 characters: 400, Service name too long",
      check: async (t, { ask }) => {
        const json = { model_name: "n".repeat(256), model_uri: "u" };
        refused(t, await ask("POST", "/admin/on-demand", { json }), 400, /Service name too long/);
      },
    },
    {
      id: "names-deploy",
      says: "deploy and delete: the same alphabet, at least 2 characters, no upper limit; else 400",
      differs: "1 to 255 characters everywhere, so that what can be configured can be deployed",
      check: async (t, { ask }) => {
        for (const name of BAD.filter((name) => !name.includes("/"))) {
          refused(
            t,
            await ask("POST", `/models/${path(name)}`, { json: { model_uri: "u" } }),
            400,
            /Invalid model name/,
          );
          refused(t, await ask("DELETE", `/models/${path(name)}?force=true`), 400, /Invalid model name/);
        }
        for (const name of GOOD) t.equal((await ask("DELETE", `/models/${name}?force=true`)).status, 204, name);
        t.equal((await ask("POST", "/models/q", { json: { model_uri: "models:/q/1" } })).status, 200, "one character");
        const long = "n".repeat(256);
        refused(t, await ask("POST", `/models/${long}`, { json: { model_uri: "u" } }), 400);
        refused(t, await ask("DELETE", `/models/${long}`), 400);
      },
    },
    {
      id: "names-newline",
      says: "a newline after a good name passes the deploy check",
      differs: "400: it is no part of the alphabet",
      check: async (t, { ask }) => {
        for (const name of ["good%0A", "good%0D%0A", "good%20"]) {
          refused(t, await ask("POST", `/models/${name}`, { json: { model_uri: "u" } }), 400, /Invalid model name/);
          refused(t, await ask("DELETE", `/models/${name}`), 400, /Invalid model name/);
        }
      },
    },
    {
      id: "names-reading",
      says: "all other routes check no name: what is unknown is 404 or 503",
      check: async (t, { ask }) => {
        const text = { headers: { "content-type": "text/plain" }, body: "x" };
        for (const name of ["-a", "a%20b", "n".repeat(300)]) {
          refused(t, await ask("GET", `/models/${name}`), 404);
          refused(t, await ask("GET", `/admin/on-demand/${name}`), 404);
          refused(t, await ask("GET", `/admin/on-demand/${name}/history`), 404);
          refused(t, await ask("PUT", `/admin/on-demand/${name}`, { json: {} }), 404);
          refused(t, await ask("DELETE", `/admin/on-demand/${name}`), 404);
          refused(t, await ask("GET", `/models/${name}/info`), 503);
          refused(t, await ask("POST", `/models/${name}/tasks/process`, text), 503);
        }
      },
    },
    {
      id: "names-case",
      says: "names are told apart by case",
      check: async (t, bench) => {
        await bench.create("Case", { description: "upper" });
        await bench.create("case", { description: "lower" });
        t.equal((await bench.ask("GET", "/admin/on-demand/Case")).json.description, "upper");
        t.equal((await bench.ask("GET", "/admin/on-demand/case")).json.description, "lower");
      },
    },
  ],
};
