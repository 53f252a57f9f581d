/** Validation: 422 and its items, lax booleans and whole numbers (reference cmg-api 1.1, 1.3). */
import { hasKeys, invalid, refused } from "./answers.js";
import type { Table } from "./table.js";

const CREATE = "/admin/on-demand";
const JSON_TYPE = { "content-type": "application/json" };
const good = (more: object = {}) => ({ model_name: "valid", model_uri: "models:/valid/1", ...more });

export const VALIDATION: Table = {
  id: "validation",
  title: "Validation errors",
  rows: [
    {
      id: "item-missing",
      says: "missing: loc names the field, input is the object around it",
      check: async (t, { ask }) => {
        const item = { type: "missing", loc: ["body", "model_name"], input: {} };
        const answer = await ask("POST", CREATE, { json: {} });
        invalid(t, answer, item);
        hasKeys(t, answer.json.detail[0], "type", "loc", "msg", "input");
      },
    },
    {
      id: "item-string-type",
      says: "string_type: numbers, booleans and objects are no text",
      check: async (t, { ask }) => {
        for (const input of [5, true, { a: 1 }, ["a"]]) {
          const json = good({ description: input });
          invalid(t, await ask("POST", CREATE, { json }), { type: "string_type", loc: ["body", "description"], input });
        }
        const json = { model_name: null, model_uri: "x" };
        const item = { type: "string_type", loc: ["body", "model_name"], input: null };
        invalid(t, await ask("POST", CREATE, { json }), item);
      },
    },
    {
      id: "item-int",
      says: "int_parsing for words, int_from_float for fractions, int_type for lists and objects",
      check: async (t, { ask }) => {
        const loc = ["body", "idle_ttl"];
        const post = (idle_ttl: unknown) => ask("POST", CREATE, { json: good({ idle_ttl }) });
        for (const input of ["x", "", "1.5", "1h"]) invalid(t, await post(input), { type: "int_parsing", loc, input });
        invalid(t, await post(1.5), { type: "int_from_float", loc, input: 1.5 });
        for (const input of [[1], { a: 1 }]) invalid(t, await post(input), { type: "int_type", loc, input });
      },
    },
    {
      id: "item-int-accepted",
      says: "whole numbers: JSON integers, floats without fraction, numeric texts, true as 1",
      check: async (t, { ask }) => {
        for (const [given, kept] of [
          ["60", 60],
          ["7.0", 7],
          [true, 1],
          ["+5", 5],
          [" 8 ", 8],
        ] as const) {
          const { json } = await ask("POST", CREATE, { json: good({ idle_ttl: given }) });
          t.equal(json.idle_ttl, kept, String(given));
        }
        const body = '{"model_name":"valid","model_uri":"x","idle_ttl":60.0}';
        t.equal((await ask("POST", CREATE, { headers: JSON_TYPE, body })).json.idle_ttl, 60);
      },
    },
    {
      id: "item-bool",
      says: "bool_parsing for other words and numbers, bool_type for null, lists and objects",
      check: async (t, { ask }) => {
        const loc = ["body", "inherit_config"];
        const post = (inherit_config: unknown) => ask("POST", CREATE, { json: good({ inherit_config }) });
        for (const input of ["maybe", "", 2, -1]) invalid(t, await post(input), { type: "bool_parsing", loc, input });
        for (const input of [null, [], {}]) invalid(t, await post(input), { type: "bool_type", loc, input });
      },
    },
    {
      id: "item-bool-accepted",
      says: "booleans: true/false, 1/0, and t/f, yes/no, y/n, on/off in any case",
      check: async (t, { ask }) => {
        const words = "true FALSE t F yes NO y N on Off 1 0".split(" ");
        for (const word of [true, false, 1, 0, ...words]) {
          const answer = await ask("POST", CREATE, { json: good({ inherit_config: word }) });
          t.equal(answer.status, 201, String(word));
        }
        for (const word of words) t.equal((await ask("GET", `/models/?verbose=${word}`)).status, 200, word);
        for (const input of ["", "2", "truee", "null"]) {
          const item = { type: "bool_parsing", loc: ["query", "verbose"], input };
          invalid(t, await ask("GET", `/models/?verbose=${input}`), item);
          invalid(t, await ask("GET", `/models/static-one?verbose=${input}`), item);
        }
      },
    },
    {
      id: "item-greater-than",
      says: "greater_than: ctx holds the bound",
      check: async (t, { ask }) => {
        const item = { type: "greater_than", loc: ["body", "idle_ttl"], input: 0, ctx: { gt: 0 } };
        invalid(t, await ask("POST", CREATE, { json: good({ idle_ttl: 0 }) }), item);
        t.equal((await ask("POST", CREATE, { json: good({ idle_ttl: false }) })).status, 422);
      },
    },
    {
      id: "item-value-error",
      says: "value_error: ctx is {error: {}}",
      check: async (t, { ask }) => {
        const deploy = { resources: { reservations: { memory: "lots" } } };
        const loc = ["body", "deploy", "resources", "reservations", "memory"];
        const item = { type: "value_error", loc, input: "lots", ctx: { error: {} } };
        invalid(t, await ask("POST", CREATE, { json: good({ deploy }) }), item);
      },
    },
    {
      id: "item-attributes",
      says: "model_attributes_type: what should be an object is none, at every level",
      check: async (t, { ask }) => {
        const type = "model_attributes_type";
        for (const input of [[], "text", 5]) {
          invalid(t, await ask("POST", CREATE, { json: input }), { type, loc: ["body"], input });
        }
        const deep = await ask("POST", CREATE, { json: good({ deploy: 5 }) });
        invalid(t, deep, { type, loc: ["body", "deploy"], input: 5 });
        const deeper = await ask("POST", CREATE, { json: good({ deploy: { resources: { limits: "x" } } }) });
        invalid(t, deeper, { type, loc: ["body", "deploy", "resources", "limits"], input: "x" });
      },
    },
    {
      id: "item-json-invalid",
      says: "json_invalid: loc names the offset, input is {}, ctx.error the parser's words",
      check: async (t, { ask }) => {
        for (const [method, path] of [
          ["POST", CREATE],
          ["PUT", `${CREATE}/valid`],
          ["POST", "/models/some"],
        ] as const) {
          const answer = await ask(method, path, { headers: JSON_TYPE, body: '{"a": 1,' });
          t.equal(answer.status, 422, path);
          t.match(answer.json?.detail, [
            { type: "json_invalid", loc: ["body", Number], msg: /\S/, input: {}, ctx: { error: /\S/ } },
          ]);
          t.equal(answer.json?.detail?.length, 1);
        }
      },
    },
    {
      id: "item-several",
      says: "all faults of a body are told at once",
      check: async (t, { ask }) => {
        const json = { idle_ttl: "x", description: 5, replace_enabled: null };
        const { detail } = (await ask("POST", CREATE, { json })).json;
        t.strictSame(
          detail.map((item: { loc: string[] }) => item.loc.join(".")),
          ["body.model_name", "body.idle_ttl", "body.description", "body.replace_enabled"],
        );
      },
    },
    {
      id: "body-media-type",
      says: "no content type, application/json and …+json are read as JSON",
      check: async (t, { ask }) => {
        const body = JSON.stringify(good());
        for (const type of ["application/json; charset=utf-8", "application/vnd.x+json"]) {
          t.equal((await ask("POST", CREATE, { headers: { "content-type": type }, body })).status, 201, type);
        }
        t.equal((await ask("POST", CREATE, { body })).status, 201, "none");
      },
    },
    {
      id: "body-other-type",
      says: "any other content type makes the body a text: model_attributes_type at body; on deployment three missing items",
      check: async (t, { ask }) => {
        const body = JSON.stringify(good());
        const headers = { "content-type": "text/plain" };
        invalid(t, await ask("POST", CREATE, { headers, body }), {
          type: "model_attributes_type",
          loc: ["body"],
          input: body,
        });
        const answer = await ask("POST", "/models/some", { headers, body: '{"model_uri":"x"}' });
        const missing = (field: string) => ({ type: "missing", loc: ["body", field], input: null });
        invalid(t, answer, missing("tracking_id"), missing("model_uri"), missing("ttl"));
      },
    },
    {
      id: "order-of-checks",
      says: "JSON syntax first, then the name (400), then the fields (422)",
      check: async (t, { ask }) => {
        t.equal((await ask("POST", "/models/-bad", { headers: JSON_TYPE, body: "{" })).status, 422);
        refused(t, await ask("POST", "/models/-bad", { json: { ttl: "x" } }), 400);
        refused(t, await ask("DELETE", "/models/-bad?force=maybe"), 400);
        t.equal((await ask("POST", "/models/some", { json: { ttl: "x" } })).status, 422);
      },
    },
    {
      id: "body-huge",
      says: "bodies have no limit",
      differs: "a configuration of many megabytes is refused with 413",
      check: async (t, { ask }) => {
        const json = good({ description: "x".repeat(20 * 2 ** 20) });
        const answer = await ask("POST", CREATE, { json }).catch((error: NodeJS.ErrnoException) => error.code);
        // It may be told before it was read to its end; then the connection closes under the sender.
        if (typeof answer === "object") t.equal(answer.status, 413);
        else t.match(answer, /^(ECONNRESET|EPIPE)$/);
        t.equal((await ask("GET", "/models/")).status, 200);
      },
    },
  ],
};
