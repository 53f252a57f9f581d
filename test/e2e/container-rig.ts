/** Model servers in containers of a test's own daemon: the gazetteer, out of this checkout. */
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ConfigInput } from "../../config/schema.js";
import { NODE_IMAGE, type TestDocker } from "../helpers/docker.js";

const root = fileURLToPath(new URL("../../..", import.meta.url));

export const CONTAINER_NETWORK = "sluice-test-models";

export function containerConfig(docker: TestDocker): ConfigInput {
  return {
    discovery: { docker: { enabled: true, socket: docker.socket }, process: [], probe_interval: "200ms" },
    proxy: { workers: 2 },
    models: { deployment: { driver: "docker", auto: { health_check_timeout: "30s" } } },
    cms: {
      network: CONTAINER_NETWORK,
      image: NODE_IMAGE,
      command: ["/app/gazetteer/main.js", "--host=0.0.0.0", "--port={port}", "--name={name}"],
      volumes: {
        [join(root, "dist/examples/gazetteer")]: "/app/gazetteer",
        [join(root, "package.json")]: "/app/package.json",
        [realpathSync(join(root, "node_modules/ws"))]: "/app/node_modules/ws",
      },
    },
  };
}

export async function createOnDemand(url: string, name: string): Promise<void> {
  const answer = await fetch(`${url}/admin/on-demand`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model_name: name, model_uri: `models:/${name}/1`, idle_ttl: 3_600 }),
  });
  if (answer.status !== 201) throw new Error(`${answer.status}: ${await answer.text()}`);
}
