/** Trying again after a lost connection, and what is said of it at a terminal. */
import t from "tap";
import { SluiceClient } from "../../cli/client.js";
import { CliError, EXIT } from "../../cli/exit.js";
import { Patience } from "../../cli/patience.js";

t.test("only what is worth another try is called a lost connection", async (t) => {
  const client = new SluiceClient("http://127.0.0.1:1");
  t.teardown(() => client.close());
  const patience = new Patience(client, new AbortController().signal);
  const said: string[] = [];
  const progress = { at: () => undefined, say: (text: string) => said.push(text), end: () => undefined };
  const damaged = new CliError(EXIT.failed, "the bytes are damaged", { status: 500 });
  await t.rejects(patience.rest(damaged, progress), damaged);
  t.same(said, []);
  await patience.rest(Object.assign(new Error("cut"), { code: "ECONNRESET" }), progress);
  t.same(said, ["The connection was lost; trying again"]);
});
