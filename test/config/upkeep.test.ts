import t from "tap";
import { configSchema } from "../../config/schema.js";
import { loader } from "./loader.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

t.test(
  "tasks are kept for 30 days, of any size, and nothing is answered from the cache, unless said otherwise",
  async (t) => {
    t.same(configSchema.parse({}).results, {
      retention: 30 * 86_400_000,
      max_bytes: null,
      cache: { enabled: false, max_age: 3_600_000 },
    });
    t.equal(configSchema.parse({ results: { retention: null } }).results.retention, null);
  },
);

t.test("callbacks: URL, secret and origins are checked", async (t) => {
  const good = { url: "https://h.example.org/x?token=1", secret: SECRET, allow: ["https://h.example.org"] };
  t.same(configSchema.parse({ callbacks: good }).callbacks, good);
  const bad = [
    { url: "h.example.org" },
    { url: "https://u:p@h.example.org/" },
    { secret: "secret" },
    { secret: "whsec_c2hvcnQ=" },
    { allow: ["https://h.example.org/"] },
    { allow: ["h.example.org"] },
    { allow: ["*"] },
  ];
  for (const callbacks of bad) t.notOk(configSchema.safeParse({ callbacks }).success, JSON.stringify(callbacks));
});

t.test("callbacks that are asked for and not signed warn", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "" });
  const flags = { "callbacks.url": "https://h.example.org/" };
  t.match(load({ flags }).warnings, [/callbacks\.secret is not set/]);
  t.same(load({ flags: { ...flags, "callbacks.secret": SECRET } }).warnings, []);
});
