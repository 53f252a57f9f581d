/** Waiting for a task of a Sluice that goes away. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import t from "tap";
import { SluiceClient } from "../../cli/client.js";
import { EXIT } from "../../cli/exit.js";
import { waitForTask } from "../../cli/wait.js";

const ID = "0b5c6a4e-6d0f-4c2b-9a55-0d6a1f1f4c11";

t.test("who gives up on a Sluice that is away still says which task it was and how to come back", async (t) => {
  const server = createServer((_request, response) => void response.destroy());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const client = new SluiceClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  t.teardown(() => client.close());
  const { signal } = new AbortController();
  await t.rejects(waitForTask(client, ID, { timeoutMs: null, signal, awayMs: 1 }), {
    exitCode: EXIT.unreachable,
    message: new RegExp(`cannot reach Sluice.*${ID}`),
    hint: `The task goes on. Come back with: sluice tasks wait ${ID}`,
  });
});
