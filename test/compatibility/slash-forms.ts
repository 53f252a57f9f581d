/** Both forms of every path (reference cmg-api 1.2). */

import type { Bench } from "./bench.js";
import type { Ask } from "./client.js";
import type { Row, Table } from "./table.js";

interface Form {
  readonly method: string;
  /** As CMG has it. */
  readonly path: string;
  readonly status: number;
  readonly ask?: Ask;
}

const TEXT = { headers: { "content-type": "text/plain" }, body: "x" };
const FORMS: readonly Form[] = [
  { method: "GET", path: "/health", status: 200 },
  { method: "GET", path: "/metrics/", status: 200 },
  { method: "GET", path: "/models/", status: 200 },
  { method: "GET", path: "/models/?verbose=maybe", status: 422 },
  { method: "POST", path: "/models/", status: 405 },
  { method: "GET", path: "/models/static-one", status: 200 },
  { method: "GET", path: "/models/static-one?verbose=true", status: 200 },
  { method: "POST", path: "/models/static-one", status: 409, ask: { json: { model_uri: "models:/s/1" } } },
  { method: "DELETE", path: "/models/nobody?force=true", status: 204 },
  { method: "GET", path: "/models/static-one/info", status: 200 },
  { method: "POST", path: "/models/static-one/tasks/process", status: 200, ask: TEXT },
  { method: "GET", path: "/tasks/", status: 403 },
  { method: "GET", path: "/tasks/nobody?detail=true", status: 404 },
  { method: "GET", path: "/admin/on-demand", status: 200 },
  { method: "GET", path: "/admin/on-demand?include_disabled=true", status: 200 },
  { method: "POST", path: "/admin/on-demand", status: 201, ask: { json: { model_name: "made", model_uri: "u" } } },
  { method: "GET", path: "/admin/on-demand/made", status: 200 },
  { method: "GET", path: "/admin/on-demand/made/history", status: 200 },
  { method: "PUT", path: "/admin/on-demand/made", status: 200, ask: { json: {} } },
  { method: "POST", path: "/admin/on-demand/999999/enable", status: 404 },
  { method: "DELETE", path: "/admin/on-demand/nobody", status: 404 },
];

/** The same with the slash that was not there, or without the one that was. */
function otherForm(path: string): string {
  const [bare, query] = path.split("?") as [string, string?];
  const other = bare.endsWith("/") ? bare.slice(0, -1) : `${bare}/`;
  return query === undefined ? other : `${other}?${query}`;
}

const rows: Row[] = FORMS.map(({ method, path, status, ask = {} }) => ({
  id: `slash-${method}-${path}`,
  says: `${method} ${path} answers; ${otherForm(path)} is redirected there with 307`,
  differs: "both forms answer directly",
  check: async (t, bench: Bench) => {
    for (const form of [path, otherForm(path)]) {
      const answer = await bench.ask(method, form, ask);
      t.equal(answer.status, status, form);
      t.notOk(answer.headers.location, form);
    }
  },
}));

export const SLASH_FORMS: Table = { id: "slash-forms", title: "Both forms of every path", rows };
