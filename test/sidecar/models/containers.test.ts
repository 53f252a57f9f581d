import t from "tap";
import { type ContainerRow, describeContainers } from "../../../sidecar/models/discovery/containers.js";
import { mergeModels } from "../../../sidecar/models/merge.js";
import { configOf } from "./support.js";

const LABELS = { "org.cogstack.model-serve": "", "com.docker.compose.project": "cms" };
const row = (more: Partial<ContainerRow> = {}): ContainerRow => ({
  Id: "id1",
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
  t.strictSame(describe(others), { found: [], refused: [] });
});

t.test(
  "the compose service's name wins over the container's; a name that cannot stand in a path is refused",
  async (t) => {
    const named = (name: string) => row({ Labels: { ...LABELS, "com.docker.compose.service": name } });
    t.equal(describe([named("medcat-snomed")]).found[0]?.definition.name, "medcat-snomed");
    t.strictSame(describe([named("../x")]), { found: [], refused: ["../x"] });
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

t.test("of two models with one name the stronger source's stays", async (t) => {
  const [first] = describe([row()]).found;
  const entry = { ...first!.definition, state: "ready" as const };
  const strong = { ...entry, source: "static" as const };
  t.strictSame(mergeModels([[strong], [], [entry, { ...entry, name: "other" }]]), {
    models: [strong, { ...entry, name: "other" }],
    clashes: [entry],
  });
});
