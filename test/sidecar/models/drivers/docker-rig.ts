/** A Docker driver over a daemon of the test's own, and a small model server for its containers. */
import { join } from "node:path";
import type { Test } from "tap";
import type { Config, ConfigInput } from "../../../../config/schema.js";
import { type Clock, systemClock } from "../../../../core/runtime/clock.js";
import { DockerClient } from "../../../../sidecar/models/docker-client.js";
import { ContainerWatches } from "../../../../sidecar/models/drivers/container-watches.js";
import { DockerDriver } from "../../../../sidecar/models/drivers/docker.js";
import type { ManagedModel } from "../../../../sidecar/models/managed-model.js";
import { NODE_IMAGE, type TestDocker } from "../../../helpers/docker.js";
import { configOf, folderOf, keepLog, type LogLine, PROGRAM } from "../support.js";

export const NETWORK = "sluice-test-driver";

/** Containers of the node image that run the test's model server; whatever is given wins. */
export function driverConfig(docker: TestDocker, cms: ConfigInput["cms"] = {}): Config {
  return configOf({
    discovery: { docker: { enabled: true, socket: docker.socket } },
    cms: {
      network: NETWORK,
      image: NODE_IMAGE,
      command: ["/app/model-server.mjs", "--host", "0.0.0.0", "--port", "{port}"],
      volumes: { [PROGRAM]: "/app/model-server.mjs" },
      ...cms,
    },
  });
}

export function modelOf(name: string, more: Partial<ManagedModel> = {}): ManagedModel {
  return {
    name,
    origin: "deployment",
    deploymentType: "manual",
    modelUri: "models:/medcat/1",
    follow: null,
    pinned: null,
    modelType: "medcat_snomed",
    description: null,
    idleTtlMs: null,
    expiresAtMs: null,
    deploy: null,
    ...more,
  };
}

export interface DriverRig {
  readonly driver: DockerDriver;
  readonly client: DockerClient;
  /** Causes told to `onExit`, in order. */
  readonly exits: string[];
  readonly onExit: (cause: string) => void;
  readonly lines: LogLine[];
}

/** Its container is removed with the test. */
export function openDriver(
  t: Test,
  config: Config,
  model: ManagedModel,
  { watches = new ContainerWatches(), clock = systemClock }: { watches?: ContainerWatches; clock?: Clock } = {},
): DriverRig {
  const { logger, lines } = keepLog();
  const client = new DockerClient({ socketPath: config.discovery.docker.socket, clock: systemClock });
  const driver = new DockerDriver({
    model,
    config: () => config,
    docker: client,
    watches,
    dataDir: join(folderOf(t), "data"),
    clock,
    logger,
  });
  const exits: string[] = [];
  t.teardown(async () => {
    await driver.stop(Date.now() + 500).catch(() => undefined);
    client.close();
  });
  return { driver, client, exits, onExit: (cause) => void exits.push(cause), lines };
}
