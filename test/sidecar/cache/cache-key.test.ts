import t from "tap";
import { cacheKey, cacheUse, hitHeaders, isKeepable } from "../../../sidecar/cache/cache-key.js";

const request = {
  model: "m",
  task: "process_bulk",
  tenant: null,
  method: "POST",
  path: "/process_bulk?x=1",
  headers: ["Content-Type", "application/json", "Host", "a:1", "X-Request-Id", "1", "User-Agent", "curl"],
};

t.test("inference is cached, what trains, evaluates or reads is not; Cache-Control is heard", async (t) => {
  const use = (task: string, ...headers: string[]) => cacheUse({ task, method: "POST", headers });
  for (const task of ["process", "process_bulk", "process_bulk_file", "redact"]) t.equal(use(task), "use", task);
  for (const task of ["train_supervised", "evaluate", "info", "sanity-check", "redact_with_encryption", "x"]) {
    t.equal(use(task), "off", task);
  }
  t.equal(cacheUse({ task: "process", method: "GET", headers: [] }), "off");
  t.equal(use("process", "cache-control", "No-Store"), "off");
  t.equal(use("process", "Cache-Control", "max-age=5, no-cache"), "refresh");
  t.equal(use("process", "Cache-Control", "max-age = 0"), "refresh");
  t.equal(use("process", "Cache-Control", "max-age=5"), "use");
});

t.test("the key is the same for the same request, and another for every other", async (t) => {
  const key = cacheKey("v1", request, "hash");
  t.match(key, /^[0-9a-f]{64}$/);
  const same = ["x-forwarded-for", "10.0.0.9", "host", "b:2", "CONTENT-TYPE", "application/json", "x-request-id", "2"];
  t.equal(cacheKey("v1", { ...request, headers: same }, "hash"), key);
  const others = [
    cacheKey("v2", request, "hash"),
    cacheKey("v1", request, "other"),
    cacheKey("v1", { ...request, model: "n" }, "hash"),
    cacheKey("v1", { ...request, tenant: "ward-7" }, "hash"),
    cacheKey("v1", { ...request, path: "/process_bulk?x=2" }, "hash"),
    ...[
      ["Authorization", "Bearer a"],
      ["Authorization", "Bearer b"],
      ["Cookie", "a=1"],
      ["Accept", "text/csv"],
      ["Accept-Encoding", "gzip"],
      ["X-Model-Knob", "1"],
    ].map((more) => cacheKey("v1", { ...request, headers: [...request.headers, ...more] }, "hash")),
  ];
  t.equal(new Set([key, ...others]).size, others.length + 1);
});

t.test("an answer is kept when it is a good one, for everybody who asks the same", async (t) => {
  const keepable = (status: number, ...headers: string[]) => isKeepable({ status, headers });
  t.equal(keepable(200, "Content-Type", "application/json", "Vary", "Accept, Authorization"), true);
  for (const status of [101, 202, 206, 304, 400, 429, 500]) t.equal(keepable(status), false, String(status));
  for (const [name, value] of [
    ["Set-Cookie", "a=1"],
    ["Cache-Control", "no-store"],
    ["cache-control", "max-age=1, private"],
    ["Vary", "*"],
    ["Vary", "Accept, User-Agent"],
  ]) {
    t.equal(keepable(200, name!, value!), false, value!);
  }
});

t.test("a hit says what it is and how old", async (t) => {
  t.same(hitHeaders(["Content-Type", "a/b", "Age", "7"], 65_900), [
    ...["Content-Type", "a/b"],
    ...["Sluice-Cache", "hit", "Age", "65"],
  ]);
});
