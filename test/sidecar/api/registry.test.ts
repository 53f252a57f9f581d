/** Models, versions and aliases of the registry over HTTP. */
import t from "tap";
import { base64, bytesOf, sha256, someBytes, startRegistryApi } from "./registry-rig.js";

const M = "/registry/models/m";

t.test("a model is made, shown, changed, listed and deleted", async (t) => {
  const { ask, put } = await startRegistryApi(t);
  const made = await put(M, { user_data: { team: "ward 7", empty: "" } });
  const model = { model_id: "m", user_data: { team: "ward 7", empty: "" }, latest_version: null, aliases: {} };
  t.match(made, { status: 201 });
  t.same(made.json, model);
  t.same((await ask("GET", M)).json, model);
  t.match(await put(`${M}/`, {}), { status: 200, json: { user_data: {} } });
  t.match(await ask("PUT", "/registry/models/n"), { status: 201, json: { model_id: "n", user_data: {} } });
  const list = await ask("GET", "/registry/models");
  t.match(list.headers["content-type"], "application/json");
  t.match(list.json, { models: [{ model_id: "m" }, { model_id: "n" }], next: null });
  t.equal((await ask("DELETE", M)).status, 204);
  t.match(await ask("GET", M), { status: 404, json: { error: { code: "REGISTRY_MODEL_UNKNOWN" } } });
  t.match(await ask("DELETE", M), { status: 404, json: { error: { code: "REGISTRY_MODEL_UNKNOWN" } } });
});

t.test("a model's id is whatever may stand in a path, and nothing that may not", async (t) => {
  const { ask, put, post } = await startRegistryApi(t);
  const ids = ["a b", "50%", "%41", "é", "a?b", "a#b", "a;b", "a:b", "...", "__proto__", "日本", "x".repeat(255)];
  for (const id of ids) {
    const path = `/registry/models/${encodeURIComponent(id)}`;
    t.match(await put(path, { user_data: { id } }), { status: 201, json: { model_id: id } }, id);
    const version = await post(`${path}/versions`, Buffer.from(id));
    t.match(version, { status: 201, headers: { location: `${path}/versions/1` }, json: { model_id: id } }, id);
    t.equal((await ask("GET", `${version.headers.location}/data`)).text, id);
    t.match(await put(`${path}/aliases/champion`, { version: 1 }), { status: 200, json: { model_id: id } }, id);
  }
  const { models } = (await ask("GET", "/registry/models")).json;
  t.same(models.map((each: { model_id: string }) => each.model_id).sort(), [...ids].sort());
  for (const id of ["%2e%2e", "a%2Fb", "a%5Cb", "a%00b", "a%0Ab", "x".repeat(256)]) {
    const answer = await ask("PUT", `/registry/models/${id}`);
    t.equal(answer.status, 400, id);
    t.equal((await ask("GET", "/registry/models")).json.models.length, ids.length, id);
  }
});

t.test("user data are text by name, bounded, and nothing is lost in silence", async (t) => {
  const { put, ask } = await startRegistryApi(t);
  const names = { constructor: "c", "": "nameless", "a=b": "=", 日本: "\u0000\n" };
  t.same((await put(M, { user_data: names })).json.user_data, names);
  for (const [user_data, loc] of [
    [{ a: 1 }, ["body", "user_data", "a"]],
    [["a"], ["body", "user_data"]],
    [{ a: "\ud800" }, ["body", "user_data", "a"]],
  ] as const) {
    t.match(await put(M, { user_data }), { status: 422, json: { detail: [{ loc }] } }, JSON.stringify(user_data));
  }
  const body = { headers: { "content-type": "application/json" }, body: '{"user_data":{"__proto__":"x"}}' };
  t.match(await ask("PUT", M, body), { status: 422, json: { error: { message: /__proto__/ } } });
  t.match(await put(M, { user_data: { a: "x".repeat(256 * 1024) } }), { status: 422 });
  t.match(await put(M, { user_data: { a: "x".repeat(3 * 2 ** 20) } }), { status: 413 });
  t.same((await ask("GET", M)).json.user_data, names);
});

t.test("models are paged by their ids, also while some go", async (t) => {
  const { ask, registry } = await startRegistryApi(t);
  for (let index = 0; index < 7; index++) await registry.putModel({ modelId: `m${index}`, userData: {} });
  const page = async (query: string) => (await ask("GET", `/registry/models?${query}`)).json;
  const ids = ({ models }: { models: { model_id: string }[] }) => models.map(({ model_id }) => model_id);
  const first = await page("limit=3");
  t.match([ids(first), first.next], [["m0", "m1", "m2"], "m2"]);
  await registry.deleteModel("m2", { force: false });
  const second = await page("limit=3&after=m2");
  t.match([ids(second), second.next], [["m3", "m4", "m5"], "m5"]);
  t.match(await page("limit=3&after=m5"), { models: [{ model_id: "m6" }], next: null });
  t.match(await page("limit=3&after=zzz"), { models: [], next: null });
  for (const query of ["limit=0", "limit=1001", "limit=x"]) {
    t.equal((await ask("GET", `/registry/models?${query}`)).status, 422, query);
  }
});

t.test("a version is uploaded in one request and found by number, latest and alias", async (t) => {
  const { ask, put, post } = await startRegistryApi(t);
  const bytes = someBytes(700_001);
  t.match(await post(`${M}/versions`, bytes), { status: 404, json: { error: { code: "REGISTRY_MODEL_UNKNOWN" } } });
  const made = await post(`${M}/versions?create=true&user_data=stage%3Dtest&user_data=note%3Da%3Db+c`, bytes);
  t.match(made, { status: 201, headers: { location: `${M}/versions/1` } });
  t.match(made.json, {
    model_id: "m",
    version_number: 1,
    archived: true,
    data_hash: base64(bytes),
    sha256: sha256(bytes),
    data_bytes: bytes.length,
    user_data: { stage: "test", note: "a=b c" },
    aliases: [],
  });
  t.match(made.json.created_at, /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  t.match(await post(`${M}/versions`, Buffer.alloc(0)), { status: 201, json: { version_number: 2, data_bytes: 0 } });
  t.match(await put(`${M}/aliases/champion`, { version: 1 }), { status: 200, json: { version_number: 1 } });
  for (const [reference, number] of [
    ["1", 1],
    ["champion", 1],
    ["latest", 2],
  ] as const) {
    const found = await ask("GET", `${M}/versions/${reference}/`);
    t.match(found, { status: 200, json: { version_number: number } }, reference);
    t.equal(found.headers["content-location"], `${M}/versions/${number}`);
  }
  t.same((await ask("GET", `${M}/versions/1`)).json.aliases, ["champion"]);
  t.match((await ask("GET", M)).json, { latest_version: { version_number: 2 }, aliases: { champion: 1 } });
  for (const reference of ["3", "0", "-1", "01", "a%20b", "99999999999"]) {
    const answer = await ask("GET", `${M}/versions/${reference}`);
    t.match(answer, { status: 404, json: { error: { code: "REGISTRY_VERSION_UNKNOWN" } } }, reference);
  }
  t.match(await ask("GET", `${M}/versions/other`), {
    status: 404,
    json: { error: { code: "REGISTRY_ALIAS_UNKNOWN" } },
  });
});

t.test("a time to the nanosecond, and a transient version, come back as they were sent", async (t) => {
  const { post, ask } = await startRegistryApi(t);
  const query = "create=true&archived=false&created_at=2026-01-31T09:00:00.000000001%2B01:00";
  const made = await post(`${M}/versions?${query}`, Buffer.from("x"));
  t.match(made, { status: 201, json: { archived: false, created_at: "2026-01-31T08:00:00.000000001Z" } });
  t.equal((await ask("GET", `${M}/versions/1/data`)).text, "x");
  for (const bad of ["1969-12-31T23:59:59Z", "2555-01-01T00:00:00Z", "yesterday", "2026-01-31"]) {
    const answer = await post(`${M}/versions?created_at=${bad}`, Buffer.from("x"));
    t.match(answer, { status: 422, json: { error: { message: /created_at/ } } }, bad);
  }
  t.equal((await ask("GET", `${M}/versions`)).json.versions.length, 1);
});

t.test("versions are paged by number, gaps and all", async (t) => {
  const { ask, post } = await startRegistryApi(t);
  for (let index = 0; index < 6; index++) await post(`${M}/versions?create=true`, Buffer.from(String(index)));
  for (const number of [2, 5]) t.equal((await ask("DELETE", `${M}/versions/${number}`)).status, 204);
  const page = async (query: string) => {
    const { versions, next } = (await ask("GET", `${M}/versions?${query}`)).json;
    return [versions.map((each: { version_number: number }) => each.version_number), next];
  };
  t.same(await page("limit=2"), [[1, 3], 4]);
  t.same(await page("limit=2&from=4"), [[4, 6], null]);
  t.same(await page("from=2&limit=1"), [[3], 4]);
  t.same(await page("from=7"), [[], null]);
  for (const query of ["limit=0", "from=0", "from=-1", "from=x"]) {
    t.equal((await ask("GET", `${M}/versions?${query}`)).status, 422, query);
  }
});

t.test("what something is deployed from is deleted by force alone", async (t) => {
  const { ask, post, uses } = await startRegistryApi(t);
  await post(`${M}/versions?create=true`, Buffer.from("1"));
  await post(`${M}/versions`, Buffer.from("2"));
  uses.push({ modelId: "m", versionNumber: 1, by: "reader" });
  for (const path of [M, `${M}/versions/1`]) {
    const refused = await ask("DELETE", path);
    t.match(refused, { status: 409, json: { error: { code: "REGISTRY_IN_USE", message: /reader/ } } }, path);
  }
  t.equal((await ask("DELETE", `${M}/versions/2`)).status, 204);
  t.equal((await ask("DELETE", `${M}/versions/1?force=maybe`)).status, 422);
  t.equal((await ask("DELETE", `${M}/versions/1?force=true`)).status, 204);
  t.equal((await ask("DELETE", `${M}?force=true`)).status, 204);
});

t.test("an alias means one version at a time, and its history says what it meant before", async (t) => {
  const { ask, post, put } = await startRegistryApi(t);
  for (const text of ["1", "2", "3"]) await post(`${M}/versions?create=true`, Buffer.from(text));
  const alias = `${M}/aliases/champion`;
  t.match(await put(alias, { version: 1 }), {
    status: 200,
    json: { model_id: "m", alias: "champion", version_number: 1 },
  });
  t.match(await put(alias, { version: "latest" }), { status: 200, json: { version_number: 3 } });
  t.match(await put(`${M}/aliases/other`, { version: "champion" }), { status: 200, json: { version_number: 3 } });
  t.match((await ask("GET", alias)).json, { version_number: 3 });
  t.match((await ask("GET", `${M}/aliases`)).json, { aliases: [{ alias: "champion" }, { alias: "other" }] });
  t.equal((await ask("DELETE", alias)).status, 204);
  t.match(await ask("DELETE", alias), { status: 404, json: { error: { code: "REGISTRY_ALIAS_UNKNOWN" } } });
  t.match(await ask("GET", alias), { status: 404, json: { error: { code: "REGISTRY_ALIAS_UNKNOWN" } } });
  const { history } = (await ask("GET", `${alias}/history`)).json;
  t.same(
    history.map((each: { version_number: number | null }) => each.version_number),
    [null, 3, 1],
  );
  t.match(history[0].set_at, /^20\d\d-\d\d-\d\dT.*Z$/);
  t.match(await ask("GET", `${M}/aliases/never/history`), { status: 404 });
  t.match(await put(`${M}/aliases/latest`, { version: 1 }), {
    status: 400,
    json: { error: { code: "REGISTRY_ALIAS_INVALID" } },
  });
  t.match(await put(alias, { version: 9 }), { status: 404, json: { error: { code: "REGISTRY_VERSION_UNKNOWN" } } });
  t.match(await put(alias, {}), { status: 422 });
  t.match(await put("/registry/models/none/aliases/a", { version: 1 }), { status: 404 });
});

t.test("a list whose items are big comes whole, and others have their turn meanwhile", async (t) => {
  const { call, registry, ask } = await startRegistryApi(t);
  const userData = { a: "x".repeat(200_000) };
  for (let index = 0; index < 40; index++) await registry.putModel({ modelId: `m${index}`, userData });
  let longestMs = 0;
  let lastMs = performance.now();
  const timer = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  }, 1);
  const { body } = await call("GET", "/registry/models?limit=1000");
  const { models } = JSON.parse((await bytesOf(body)).toString());
  clearInterval(timer);
  t.equal(models.length, 40);
  t.same(models.at(-1).user_data, userData);
  t.comment(`longest pause ${longestMs.toFixed(1)} ms`);
  t.equal((await ask("GET", "/registry/models?limit=1")).json.models.length, 1);
});
