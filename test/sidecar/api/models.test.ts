import fastify from "fastify";
import t, { type Test } from "tap";
import type { ConfigInput } from "../../../config/schema.js";
import { asSluiceError, errorEnvelope } from "../../../core/contract/errors.js";
import { systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { registerModelRoutes } from "../../../sidecar/api/models.js";
import { createModelKnowledge } from "../../../sidecar/models/model-knowledge.js";
import { closedPort, command, startCatalogue, startServer } from "../models/support.js";

interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server answers
  body: any;
}

/** The routes over a real socket, with the error shape the sidecar gives them. */
async function serve(t: Test, config: ConfigInput) {
  const { catalogue } = await startCatalogue(t, config);
  const http = createHttpClient();
  const app = fastify();
  app.setErrorHandler((caught, _request, reply) => {
    const error = asSluiceError(caught);
    void reply.code(error.status).send(errorEnvelope(error));
  });
  registerModelRoutes(app, {
    catalogue,
    http,
    management: { facts: () => null },
    knowledge: createModelKnowledge(null, systemClock),
  });
  const origin = await app.listen({ port: 0, host: "127.0.0.1" });
  t.teardown(async () => {
    await app.close();
    await http.close();
  });
  const get = async (path: string): Promise<Answer> => {
    const response = await fetch(origin + path, { redirect: "manual" });
    return { status: response.status, body: await response.json() };
  };
  return { catalogue, get };
}

t.test("models are listed as CMG lists them, in both slash forms", async (t) => {
  const { url } = await startServer(t);
  const { catalogue, get } = await serve(t, {
    discovery: {
      static: [{ name: "snomed", url }],
      process: [
        { name: "zeta", command: command() },
        { name: "alpha", command: command(), model_uri: "models:/alpha/1" },
      ],
    },
  });
  await catalogue.ensureReady("snomed", 10_000);
  const list = {
    running: [{ name: "snomed", is_running: true }],
    on_demand: [
      { name: "alpha", uri: "models:/alpha/1", is_running: false },
      { name: "zeta", is_running: false },
    ],
  };
  t.strictSame(await get("/models"), { status: 200, body: list });
  t.strictSame(await get("/models/?verbose=off"), { status: 200, body: list });
  t.equal(catalogue.get("alpha")?.state, "absent", "reading starts nothing");
  await catalogue.ensureReady("alpha", 20_000);
  const { body } = await get("/models/?nonsense=1");
  t.strictSame(
    body.running.map((model: { name: string }) => model.name),
    ["snomed", "alpha"],
  );
  t.strictSame(body.on_demand, [{ name: "zeta", is_running: false }]);
});

t.test("verbose adds the server's own description, and does without where it does not answer", async (t) => {
  const [server, locked] = await Promise.all([startServer(t), startServer(t, "--info-only")]);
  const { catalogue, get } = await serve(t, {
    discovery: {
      static: [
        { name: "snomed", url: server.url },
        { name: "locked", url: locked.url },
        { name: "away", url: `http://127.0.0.1:${await closedPort()}` },
      ],
      process: [{ name: "p", command: command(), model_type: "medcat_umls" }],
    },
  });
  await Promise.all(["snomed", "locked"].map((name) => catalogue.ensureReady(name, 10_000)));
  const runtime = {
    api_version: "0.0.1",
    model_type: "medcat_snomed",
    model_description: "a test",
    model_card: null,
    labels: null,
  };
  t.strictSame((await get("/models/snomed?verbose=True")).body, {
    name: "snomed",
    is_running: true,
    description: "a test",
    model_type: "medcat_snomed",
    deployment_type: "static",
    runtime,
  });
  t.strictSame((await get("/models/locked/?verbose=1")).body, {
    name: "locked",
    is_running: true,
    deployment_type: "static",
  });
  const { body } = await get("/models?verbose=y");
  t.strictSame(
    body.running.map((model: { name: string }) => model.name),
    ["snomed", "locked", "away"],
  );
  t.strictSame(body.running[2], { name: "away", is_running: false, deployment_type: "static" });
  t.strictSame(body.on_demand, [{ name: "p", is_running: false, model_type: "medcat_umls", deployment_type: "auto" }]);
  t.strictSame((await get("/models/snomed")).body, { name: "snomed", is_running: true });
});

t.test("an unknown model is 404 and names the known ones; a wrong boolean is 422 as CMG says it", async (t) => {
  const { get } = await serve(t, { discovery: { process: [{ name: "p", command: command() }] } });
  for (const path of ["/models/nobody", "/models/nobody/", "/models/a%2Fb", "/models/..%2f"]) {
    t.match(await get(path), {
      status: 404,
      body: { source: "sluice", detail: /not available.*on-demand models: \['p'\]/ },
    });
  }
  for (const path of ["/models?verbose=maybe", "/models/p?verbose=1&verbose=maybe"]) {
    t.strictSame((await get(path)).status, 422);
    t.strictSame((await get(path)).body.detail, [
      {
        type: "bool_parsing",
        loc: ["query", "verbose"],
        msg: "Input should be a valid boolean, unable to interpret input",
        input: "maybe",
      },
    ]);
  }
  t.equal((await get("/models?verbose=")).status, 422);
});
