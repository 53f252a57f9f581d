/** Promise 4 at the very moment of a stop, with a process as the model server. */

import { fileURLToPath } from "node:url";
import t from "tap";
import { startSluice } from "../helpers/sluice.js";
import { runReapRounds } from "./reap-rounds.js";

const ROUNDS = 20;
const GAZETTEER = fileURLToPath(new URL("../../examples/gazetteer/main.js", import.meta.url));

t.test("stops with requests that arrive around the very moment lose none of them", async (t) => {
  const sluice = await startSluice(t, {
    config: {
      discovery: {
        docker: { enabled: false },
        process: [{ name: "m", command: [process.execPath, GAZETTEER, "--port", "{port}"] }],
      },
      proxy: { workers: 2 },
    },
  });
  const seed = Date.now() % 1_000_000;
  const { url } = sluice;
  const result = await runReapRounds({ url, model: "m", rounds: ROUNDS, seed, requests: 10, spreadMs: 40 });
  t.strictSame(result.lost, [], `seed ${seed}`);
  t.equal(result.answered, ROUNDS * 10);
  t.ok(result.stopped > 0, "some of the stops really happened");
});
