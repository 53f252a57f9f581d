/** Which containers are model servers, and where they answer. Pure. */
import type { Config } from "../../../config/schema.js";
import { DEPLOYMENT_TYPES, type DeploymentType, MODEL_NAME } from "../../../core/contract/models.js";
import { readSlotContainer } from "../server-slot.js";
import type { FoundServer } from "../watched-servers.js";

/** The part of Docker's container list that counts here. */
export interface ContainerRow {
  readonly Id: string;
  /** Epoch seconds. */
  readonly Created: number;
  readonly Names: readonly string[];
  readonly Labels: Readonly<Record<string, string>>;
  readonly State: string;
  readonly NetworkSettings?: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string } | undefined>>;
  };
}

/** A container that Sluice, or CogStack Model Gateway before it, has started and may stop. */
export interface ManagedContainer {
  readonly id: string;
  readonly name: string;
  /** Its place among the servers of its model; null where its name is none that Sluice gives. */
  readonly slot: number | null;
  readonly modelUri: string | null;
  readonly deploymentType: "auto" | "manual";
  /** As its label says: of an automatic one since its last use, of a manual one since its creation. -1: for ever; null: no number. */
  readonly ttlSeconds: number | null;
  readonly createdAtMs: number;
  /** Docker's word: `created`, `running`, `paused`, `restarting`, `removing`, `exited`, `dead`. */
  readonly state: string;
}

export interface Described {
  /** Running servers that somebody else has started. */
  readonly found: FoundServer[];
  /** In any state. */
  readonly managed: ManagedContainer[];
  /** Names that cannot be a model's. */
  readonly refused: string[];
}

export const PROJECT_LABEL = "com.docker.compose.project";
export const SERVICE_LABEL = "com.docker.compose.service";

/**
 * Containers that carry the model label and belong to the project.
 * @param startsOf how often a container was started while somebody listened; part of the server's identity
 */
export function describeContainers(
  rows: readonly ContainerRow[],
  config: Config,
  startsOf: (id: string) => number,
): Described {
  const project = projectOf(config);
  const found: FoundServer[] = [];
  const managed: ManagedContainer[] = [];
  const refused: string[] = [];
  for (const row of rows) {
    if (!Object.hasOwn(row.Labels, config.labels.cms_model_label) || row.Labels[PROJECT_LABEL] !== project) continue;
    const name = modelNameOf(row);
    const own = MODEL_NAME.test(name) ? describeManaged(name, row, config) : null;
    if (own !== null) managed.push(own);
    else if (row.State !== "running") continue;
    else if (!MODEL_NAME.test(name)) refused.push(name);
    else found.push({ id: `${row.Id}#${startsOf(row.Id)}`, definition: define(name, row, config) });
  }
  return {
    found: found.sort((one, other) => (one.definition.name < other.definition.name ? -1 : 1)),
    managed: managed.sort((one, other) => (one.name < other.name ? -1 : 1)),
    refused,
  };
}

/** Null for what nobody here may stop by himself. */
function describeManaged(name: string, row: ContainerRow, { labels }: Config): ManagedContainer | null {
  const type = deploymentType(row.Labels[labels.deployment_type_label]);
  if (row.Labels[labels.managed_by_label] !== labels.managed_by_value || type === "static") return null;
  return {
    id: row.Id,
    name,
    slot: readSlotContainer(containerName(row), name),
    modelUri: row.Labels[labels.cms_model_uri_label] ?? null,
    deploymentType: type,
    ttlSeconds: ttlOf(row.Labels[labels.ttl_label]),
    createdAtMs: row.Created * 1_000,
    state: row.State,
  };
}

function ttlOf(label: string | undefined): number | null {
  return label !== undefined && /^-?\d{1,12}$/.test(label) ? Number(label) : null;
}

function define(name: string, row: ContainerRow, config: Config): FoundServer["definition"] {
  const network = networkOf(config);
  const address = addressOn(network, row.NetworkSettings?.Networks ?? {});
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

/** The project whose containers are model servers. */
export function projectOf(config: Config): string {
  return config.discovery.docker.project ?? config.cms.project_name;
}

/** What every model server's container carries: the daemon is asked for these alone. */
export function labelsToAskFor(config: Config): string[] {
  return [config.labels.cms_model_label, `${PROJECT_LABEL}=${projectOf(config)}`];
}

/** The model a container is listed as; nobody has checked that it can be a model's name. */
export function modelNameOf(row: Pick<ContainerRow, "Id" | "Labels" | "Names">): string {
  return row.Labels[SERVICE_LABEL] ?? containerName(row);
}

/** Where model servers are looked for and started. */
export function networkOf(config: Config): string {
  return config.discovery.docker.network ?? config.cms.network;
}

export function addressOn(
  network: string,
  networks: Readonly<Record<string, { readonly IPAddress: string } | undefined>>,
): string | null {
  const ip = networks[network]?.IPAddress;
  return ip === undefined || ip === "" ? null : ip;
}

/** Null where nothing leads to it. */
export function urlOf(name: string, address: string | null, config: Config): string | null {
  const { host_url, server_port } = config.cms;
  const isByAddress = config.models.deployment.use_ip_addresses && address !== null;
  if (host_url !== "") return `${host_url.replace(/\/+$/, "")}/${isByAddress ? address : name}`;
  return address === null ? null : `http://${address.includes(":") ? `[${address}]` : address}:${server_port}`;
}

/** Docker's names begin with a slash; those of links hold another one. */
function containerName(row: Pick<ContainerRow, "Id" | "Names">): string {
  const names = row.Names.map((name) => name.replace(/^\//, ""));
  return names.find((name) => !name.includes("/")) ?? row.Id;
}

function deploymentType(label: string | undefined): DeploymentType {
  return DEPLOYMENT_TYPES.find((each) => each === label) ?? "static";
}
