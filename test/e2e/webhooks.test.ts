/** A task's end is told, whatever dies in between. */
import t from "tap";
import { startGazetteer } from "../helpers/gazetteer.js";
import { startSluice } from "../helpers/sluice.js";
import { startReceiver } from "../sidecar/callbacks/receiver.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

t.test("kill -9 between the final state and its delivery: it is told after the restart", async (t) => {
  const server = await startGazetteer(t);
  const configured = await startReceiver(t, [204]);
  const sluice = await startSluice(t, {
    config: {
      discovery: { static: [{ name: "m", url: server.url }] },
      callbacks: { url: configured.url, secret: SECRET },
      log: { level: "debug" },
    },
  });
  const submit = async (headers: Record<string, string>) => {
    const answer = await fetch(`${sluice.url}/models/m/tasks/process`, {
      method: "POST",
      headers: { "content-type": "text/plain", ...headers },
      body: "Seen on 3 March 2021",
    });
    return { status: answer.status, json: (await answer.json()) as { uuid: string; error?: { code: string } } };
  };

  const plain = await submit({});
  await configured.reached(1);
  t.match(JSON.parse(configured.received[0]!.text), { uuid: plain.json.uuid, status: "succeeded", type: "process" });
  t.match(configured.received[0]!.headers["webhook-signature"], /^v1,/);

  // Never answered: the delivery is under way when the sidecar dies.
  const own = await startReceiver(t, ["hang", 200]);
  const killed = await submit({ "sluice-callback": own.url });
  await own.reached(1);
  const restarted = sluice.nextEvent("restarted");
  process.kill(sluice.pids().sidecar, "SIGKILL");
  await restarted;
  await own.reached(2);
  t.equal(own.received[1]!.headers["webhook-id"], killed.json.uuid);
  t.equal(own.received[0]!.text, own.received[1]!.text);
  t.equal(configured.received.length, 1, "a task with a callback of its own tells nobody else");

  const refused = await submit({ "sluice-callback": "https://user:pass@hooks.example.org/" });
  t.match(refused, { status: 400, json: { error: { code: "INVALID_HEADER" } } });
  t.notOk(
    sluice.lines.some((line) => line.includes("secret-token") || line.includes("whsec_")),
    "neither a URL's query nor the secret is logged",
  );
});
