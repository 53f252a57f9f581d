/** Which containers are model servers, and where they answer. Pure. */
import type { Config } from "../../../config/schema.js";
import { DEPLOYMENT_TYPES, type DeploymentType, MODEL_NAME } from "../../../core/contract/models.js";
import type { FoundServer } from "../watched-servers.js";

/** The part of Docker's container list that counts here. */
export interface ContainerRow {
  readonly Id: string;
  readonly Names: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
  readonly State: string;
  readonly NetworkSettings?: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string } | undefined>>;
  };
}

export interface Described {
  readonly found: FoundServer[];
  /** Names that cannot be a model's. */
  readonly refused: string[];
}

const PROJECT_LABEL = "com.docker.compose.project";
const SERVICE_LABEL = "com.docker.compose.service";

/**
 * Running containers that carry the model label and belong to the project.
 * @param startsOf how often a container was started while somebody listened; part of the server's identity
 */
export function describeContainers(
  rows: readonly ContainerRow[],
  config: Config,
  startsOf: (id: string) => number,
): Described {
  const project = config.discovery.docker.project ?? config.cms.project_name;
  const found: FoundServer[] = [];
  const refused: string[] = [];
  for (const row of rows) {
    const isModel = Object.hasOwn(row.Labels, config.labels.cms_model_label) && row.Labels[PROJECT_LABEL] === project;
    if (!isModel || row.State !== "running") continue;
    const name = row.Labels[SERVICE_LABEL] ?? containerName(row);
    if (MODEL_NAME.test(name))
      found.push({ id: `${row.Id}#${startsOf(row.Id)}`, definition: define(name, row, config) });
    else refused.push(name);
  }
  return { found: found.sort((one, other) => (one.definition.name < other.definition.name ? -1 : 1)), refused };
}

function define(name: string, row: ContainerRow, config: Config): FoundServer["definition"] {
  const network = config.discovery.docker.network ?? config.cms.network;
  const ip = row.NetworkSettings?.Networks[network]?.IPAddress;
  const address = ip === undefined || ip === "" ? null : ip;
  return {
    name,
    source: "docker",
    url: urlOf(name, address, config),
    address,
    onDemand: false,
    concurrency: config.models.concurrency,
    modelType: null,
    modelUri: row.Labels[config.labels.cms_model_uri_label] ?? null,
    deploymentType: deploymentType(row.Labels[config.labels.deployment_type_label]),
    problem: address === null ? `its container is not on the network '${network}'` : null,
  };
}

function urlOf(name: string, address: string | null, config: Config): string | null {
  const { host_url, server_port } = config.cms;
  if (host_url !== "") return `${host_url.replace(/\/+$/, "")}/${name}`;
  return address === null ? null : `http://${address.includes(":") ? `[${address}]` : address}:${server_port}`;
}

/** Docker's names begin with a slash; those of links hold another one. */
function containerName(row: ContainerRow): string {
  const names = row.Names.map((name) => name.replace(/^\//, ""));
  return names.find((name) => !name.includes("/")) ?? row.Id;
}

function deploymentType(label: string | undefined): DeploymentType {
  return DEPLOYMENT_TYPES.find((each) => each === label) ?? "static";
}
