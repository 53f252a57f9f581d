/**
 * Many rounds of stops under traffic: `node dist/test/e2e/reap-many.js [--rounds 500] [--seed N] [--driver process|docker]`.
 * Prints what came of them as JSON; exits with 1 when a request was lost.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { ConfigInput } from "../../config/schema.js";
import { startDocker } from "../helpers/docker.js";
import { startSluice } from "../helpers/sluice.js";
import { CONTAINER_NETWORK, containerConfig, createOnDemand } from "./container-rig.js";
import { runReapRounds } from "./reap-rounds.js";

const GAZETTEER = fileURLToPath(new URL("../../examples/gazetteer/main.js", import.meta.url));
const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "500" },
    seed: { type: "string", default: "1" },
    driver: { type: "string", default: "process" },
  },
});

const undo: (() => unknown)[] = [];
const t = { teardown: (action: () => unknown) => void undo.unshift(action) };
const byProcess: ConfigInput = {
  discovery: {
    docker: { enabled: false },
    process: [{ name: "m", command: [process.execPath, GAZETTEER, "--port", "{port}"] }],
  },
  proxy: { workers: 2 },
};

try {
  const isDocker = flags.driver === "docker";
  const docker = isDocker ? await startDocker() : null;
  if (docker !== null) {
    t.teardown(() => docker.stop());
    await docker.createNetwork(CONTAINER_NETWORK);
  }
  const { url } = await startSluice(t, { config: docker === null ? byProcess : containerConfig(docker) });
  if (isDocker) await createOnDemand(url, "m");
  const startedMs = performance.now();
  const rounds = Number(flags.rounds);
  const onRound = (round: number) => {
    if (round % 25 === 0) process.stderr.write(`${round} of ${rounds}\n`);
  };
  const result = await runReapRounds({
    url,
    model: "m",
    rounds,
    seed: Number(flags.seed),
    requests: 10,
    spreadMs: 50,
    onRound,
  });
  const seconds = Math.round((performance.now() - startedMs) / 1_000);
  process.stdout.write(`${JSON.stringify({ driver: flags.driver, rounds, seconds, ...result })}\n`);
  process.exitCode = result.lost.length === 0 ? 0 : 1;
} finally {
  for (const action of undo) await action();
}
