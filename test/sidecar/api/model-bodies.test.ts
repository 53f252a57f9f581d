/** Bodies of deployments and on-demand configurations: what is refused, in CMG's items (reference cmg-api 1.1 and 1.3). */
import t from "tap";
import { startModelApi } from "./model-rig.js";

interface Row {
  readonly body: unknown;
  readonly type?: string;
  readonly items: readonly object[];
}

const missing = (...loc: string[]) => ({ type: "missing", loc: ["body", ...loc], msg: "Field required" });
const noObject = (loc: string[], input: unknown) => ({
  type: "model_attributes_type",
  loc: ["body", ...loc],
  msg: "Input should be a valid dictionary or object to extract fields from",
  input,
});
const threeMissing = ["tracking_id", "model_uri", "ttl"].map((field) => ({ ...missing(field), input: null }));
const invalid = (at: number) => ({
  type: "json_invalid",
  loc: ["body", at],
  msg: "JSON decode error",
  input: {},
  ctx: { error: "This is where it stops being JSON" },
});

const DEPLOYMENTS: readonly Row[] = [
  { body: "{", items: [invalid(1)] },
  { body: "SECRET", items: [invalid(0)] },
  { body: "{}", type: "text/plain", items: threeMissing },
  { body: "[]", items: threeMissing },
  { body: '"x"', type: "application/problem+json", items: threeMissing },
  {
    body: { ttl: "soon", model_uri: 3 },
    items: [
      { type: "string_type", loc: ["body", "model_uri"], msg: "Input should be a valid string", input: 3 },
      {
        type: "int_parsing",
        loc: ["body", "ttl"],
        msg: "Input should be a valid integer, unable to parse string as an integer",
        input: "soon",
      },
    ],
  },
  {
    body: { ttl: 1.5 },
    items: [
      {
        type: "int_from_float",
        loc: ["body", "ttl"],
        msg: "Input should be a valid integer, got a number with a fractional part",
        input: 1.5,
      },
    ],
  },
  {
    body: { ttl: [] },
    items: [{ type: "int_type", loc: ["body", "ttl"], msg: "Input should be a valid integer", input: [] }],
  },
  {
    body: { model_uri: "m", ttl: 0 },
    items: [
      {
        type: "value_error",
        loc: ["body", "ttl"],
        msg: "Value error, ttl is -1 (for ever) or above 0",
        input: 0,
        ctx: { error: {} },
      },
    ],
  },
  {
    body: { model_uri: "m", ttl: "-2" },
    items: [
      {
        type: "greater_than_equal",
        loc: ["body", "ttl"],
        msg: "Input should be greater than or equal to -1",
        input: "-2",
        ctx: { ge: -1 },
      },
    ],
  },
];

const name = { model_name: "m" };
const CONFIGURATIONS: readonly Row[] = [
  { body: undefined, items: [{ ...missing(), input: null }] },
  { body: "null", items: [{ ...missing(), input: null }] },
  { body: "{}", type: "text/plain", items: [noObject([], "{}")] },
  { body: "[1]", items: [noObject([], [1])] },
  { body: "{}", type: "", items: [{ ...missing("model_name"), input: {} }] },
  {
    body: { ...name, idle_ttl: 0 },
    items: [
      {
        type: "greater_than",
        loc: ["body", "idle_ttl"],
        msg: "Input should be greater than 0",
        input: 0,
        ctx: { gt: 0 },
      },
    ],
  },
  {
    body: { ...name, replace_enabled: null, inherit_config: "perhaps" },
    items: [
      { type: "bool_type", loc: ["body", "replace_enabled"], msg: "Input should be a valid boolean", input: null },
      {
        type: "bool_parsing",
        loc: ["body", "inherit_config"],
        msg: "Input should be a valid boolean, unable to interpret input",
        input: "perhaps",
      },
    ],
  },
  {
    body: { ...name, deploy: { resources: { limits: { memory: "1gb", cpus: 2 }, reservations: 7 } } },
    items: [
      {
        type: "value_error",
        loc: ["body", "deploy", "resources", "limits", "memory"],
        input: "1gb",
        ctx: { error: {} },
      },
      {
        type: "string_type",
        loc: ["body", "deploy", "resources", "limits", "cpus"],
        msg: "Input should be a valid string",
        input: 2,
      },
      noObject(["deploy", "resources", "reservations"], 7),
    ],
  },
  {
    body: { ...name, deploy: { resources: { reservations: { gpus: 0 } } } },
    items: [{ type: "greater_than", loc: ["body", "deploy", "resources", "reservations", "gpus"], input: 0 }],
  },
  {
    body: { ...name, deploy: { resources: { reservations: { gpus: "some" } } } },
    items: [
      {
        type: "value_error",
        loc: ["body", "deploy", "resources", "reservations", "gpus"],
        msg: "Value error, gpus is 'all' or a whole number above 0",
        input: "some",
      },
    ],
  },
];

const { ask, stderr } = await startModelApi(t);

t.test("every body that is refused is refused with 422 and CMG's items", async (t) => {
  const cases = [
    ...DEPLOYMENTS.map((row) => ({ ...row, method: "POST", path: "/models/m" })),
    ...CONFIGURATIONS.map((row) => ({ ...row, method: "POST", path: "/admin/on-demand/" })),
    { method: "PUT", path: "/admin/on-demand/m", ...CONFIGURATIONS[5]! },
  ];
  for (const { method, path, body, type, items } of cases) {
    const answer = await ask(method, path, body, type);
    const what = `${method} ${path} ${JSON.stringify(body)}`;
    t.equal(answer.status, 422, what);
    t.equal(answer.json.error.code, "INVALID_PARAMETER");
    t.match(answer.json.detail, items, what);
    t.equal(answer.json.detail.length, items.length, what);
    t.notMatch(answer.json.error.message, /SECRET|1gb|perhaps/, "the message repeats nothing that was sent");
  }
});

t.test("a body that is no JSON is said first, then the name, then the fields", async (t) => {
  t.equal((await ask("POST", "/models/-m", "{")).status, 422);
  t.match(await ask("POST", "/models/-m", { ttl: "soon" }), {
    status: 400,
    json: { error: { code: "MODEL_NAME_INVALID" }, detail: /Invalid model name/ },
  });
  t.match(await ask("POST", `/models/${"m".repeat(256)}`), { status: 400, json: { detail: /Service name too long/ } });
  t.equal((await ask("DELETE", "/models/-m?force=perhaps")).status, 400);
  t.equal((await ask("DELETE", "/models/m?force=perhaps")).status, 422);
  for (const body of [undefined, "null", {}, { model_uri: "", tracking_id: null }]) {
    t.match(await ask("POST", "/models/m", body), { status: 400, json: { error: { code: "REFERENCE_MISSING" } } });
  }
  const huge = await ask("POST", "/admin/on-demand", JSON.stringify({ description: "SECRET".repeat(60_000) }));
  t.match(huge, { status: 413, json: { error: { code: "BODY_TOO_LARGE" } } });
  t.notMatch(stderr(), /SECRET/);
});
