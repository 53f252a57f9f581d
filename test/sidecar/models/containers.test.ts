import t from "tap";
import { type ContainerRow, describeContainers } from "../../../sidecar/models/discovery/containers.js";
import { mergeModels } from "../../../sidecar/models/merge.js";
import { configOf } from "./support.js";

const LABELS = { "org.cogstack.model-serve": "", "com.docker.compose.project": "cms" };
const row = (more: Partial<ContainerRow> = {}): ContainerRow => ({
  Id: "id1",
  Created: 1_700_000_000,
  Names: ["/linker/snomed", "/snomed"],
  Labels: LABELS,
  State: "running",
  NetworkSettings: { Networks: { "cogstack-model-serve_cms": { IPAddress: "172.18.0.4" } } },
  ...more,
});
const describe = (rows: ContainerRow[], given: Parameters<typeof configOf>[0] = {}) =>
  describeContainers(rows, configOf(given), () => 0);

t.test("a labelled container of the project is a model, whatever the label's value", async (t) => {
  const { found } = describe([row()]);
  t.match(found, [
    {
      id: "id1#0",
      definition: {
        name: "snomed",
        url: "http://172.18.0.4:8000",
        address: "172.18.0.4",
        source: "docker",
        modelUri: null,
      },
    },
  ]);
  t.equal(found[0]!.definition.deploymentType, "static");
});

t.test("what is not running, not labelled or of another project is none", async (t) => {
  const others = [
    ...["paused", "exited", "created", "restarting", "dead"].map((State) => row({ State })),
    row({ Labels: { "com.docker.compose.project": "cms" } }),
    row({ Labels: { ...LABELS, "com.docker.compose.project": "dev-cms" } }),
    row({ Labels: { "org.cogstack.model-serve": "x" } }),
  ];
  t.strictSame(describe(others), { found: [], managed: [], refused: [] });
});

t.test(
  "the compose service's name wins over the container's; a name that cannot stand in a path is refused",
  async (t) => {
    const named = (name: string) => row({ Labels: { ...LABELS, "com.docker.compose.service": name } });
    t.equal(describe([named("medcat-snomed")]).found[0]?.definition.name, "medcat-snomed");
    t.strictSame(describe([named("../x")]), { found: [], managed: [], refused: ["../x"] });
  },
);

t.test("labels, project, network, port and host URL come from the configuration", async (t) => {
  const given = {
    discovery: { docker: { enabled: false, project: "p", network: "n" } },
    cms: { server_port: 9000 },
    labels: { cms_model_label: "a.model", cms_model_uri_label: "a.uri", deployment_type_label: "a.type" },
  } as const;
  const labels = { "a.model": "1", "a.uri": "models:/x/1", "a.type": "manual", "com.docker.compose.project": "p" };
  const networks = (address: string) => ({ Networks: { n: { IPAddress: address }, other: { IPAddress: "10.9.9.9" } } });
  const one = row({ Labels: labels, NetworkSettings: networks("10.0.0.2") });
  t.match(describe([one], given).found[0]?.definition, {
    url: "http://10.0.0.2:9000",
    modelUri: "models:/x/1",
    deploymentType: "manual",
    problem: null,
  });
  t.match(describe([one], { ...given, cms: { host_url: "http://edge/cms/" } }).found[0]?.definition, {
    url: "http://edge/cms/snomed",
    address: "10.0.0.2",
  });
  const away = row({ Labels: labels, NetworkSettings: networks("") });
  t.match(describe([away], given).found[0]?.definition, {
    url: null,
    address: null,
    problem: /not on the network 'n'/,
  });
});

t.test("containers that Sluice may stop are told apart, in any state, with what their labels say", async (t) => {
  const gateway = "org.cogstack.model-gateway";
  const own = (State: string, more: Record<string, string> = {}) =>
    row({
      State,
      Labels: {
        ...LABELS,
        "com.docker.compose.service": "m",
        "org.cogstack.model-serve.uri": "models:/m/1",
        [`${gateway}.managed-by`]: "cmg",
        [`${gateway}.deployment-type`]: "manual",
        [`${gateway}.ttl`]: "86400",
        ...more,
      },
    });
  const expected = {
    id: "id1",
    name: "m",
    modelUri: "models:/m/1",
    deploymentType: "manual",
    ttlSeconds: 86_400,
    createdAtMs: 1_700_000_000_000,
    slot: null,
    state: "running",
  };
  t.strictSame(describe([own("running")]), { found: [], managed: [expected], refused: [] });
  for (const state of ["paused", "exited", "created", "restarting", "dead"]) {
    t.strictSame(describe([own(state)]).managed, [{ ...expected, state }]);
  }
  t.match(describe([{ ...own("running"), Names: ["/model-m"] }]).managed, [{ slot: 0 }]);
  t.match(describe([{ ...own("running"), Names: ["/m.sluice-2"] }]).managed, [{ slot: 2 }]);
  t.match(describe([own("running", { [`${gateway}.ttl`]: "-1" })]).managed, [{ ttlSeconds: -1 }]);
  t.match(describe([own("running", { [`${gateway}.ttl`]: "soon" })]).managed, [{ ttlSeconds: null }]);
  const foreign = [
    own("running", { [`${gateway}.managed-by`]: "somebody" }),
    own("running", { [`${gateway}.deployment-type`]: "static" }),
    own("running", { [`${gateway}.deployment-type`]: "unheard-of" }),
  ];
  for (const each of foreign) t.match(describe([each]), { managed: [], found: [{ definition: { name: "m" } }] });
  const labels = { managed_by_label: "by", managed_by_value: "us", ttl_label: "ttl" };
  t.match(describe([own("running", { by: "us", ttl: "5" })], { labels }).managed, [{ ttlSeconds: 5 }]);
  t.strictSame(describe([own("running")], { labels }).managed, []);
});

t.test("behind a host URL a container is named, or addressed where that is wanted", async (t) => {
  const cms = { host_url: "http://edge/cms" };
  const models = { deployment: { use_ip_addresses: true } };
  t.equal(describe([row()], { cms, models }).found[0]?.definition.url, "http://edge/cms/172.18.0.4");
  const away = row({ NetworkSettings: { Networks: {} } });
  t.equal(describe([away], { cms, models }).found[0]?.definition.url, "http://edge/cms/snomed");
});

t.test("of two models with one name the stronger source's stays", async (t) => {
  const [first] = describe([row()]).found;
  const entry = { ...first!.definition, state: "ready" as const };
  const strong = { ...entry, source: "static" as const };
  t.strictSame(mergeModels([[strong], [], [entry, { ...entry, name: "other" }]]), {
    models: [strong, { ...entry, name: "other" }],
    clashes: [entry],
  });
});
