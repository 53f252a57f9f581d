/** Ctrl-C at a terminal reaches every process of the group at once; what is in flight must end all the same. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { startGazetteer } from "../helpers/gazetteer.js";
import { eventually, RunningServe } from "./programs/running-serve.js";

const MAIN = fileURLToPath(new URL("../../cli/main.js", import.meta.url));

t.test("Ctrl-C lets light and held requests finish, then ends with 0", async (t) => {
  const server = await startGazetteer(t);
  const dir = mkdtempSync(join(tmpdir(), "sluice-"));
  const config = join(dir, "sluice.yaml");
  writeFileSync(
    config,
    JSON.stringify({ discovery: { static: [{ name: "m", url: server.url }], docker: { enabled: false } } }),
  );
  const serve = new RunningServe(MAIN, ["serve", "--config", config, "--data-dir", join(dir, "data"), "--port", "0"]);
  t.teardown(async () => {
    await serve.end();
    rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });
  const { url } = await serve.ready(30_000);
  const ask = (path: string, type: string, body: string) =>
    fetch(`${url}/models/m/${path}`, {
      method: "POST",
      headers: { "content-type": type, "x-misbehave": "delay=2000" },
      body,
    });
  const light = ask("process", "text/plain", "kidney failure");
  const held = ask("process_bulk", "application/json", '["kidney failure"]');
  const posts = async () => (await server.requests()).filter((each) => each.method === "POST");
  await eventually(async () => (await posts()).length >= 2, "both requests reached the model server");
  process.kill(-serve.child.pid!, "SIGINT");
  for (const answer of [await light, await held]) {
    t.equal(answer.status, 200);
    t.match(await answer.text(), "kidney failure");
  }
  t.same(await serve.exited, { code: 0, signal: null });
});
