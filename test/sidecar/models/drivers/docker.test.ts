import { text } from "node:stream/consumers";
import t from "tap";
import { dockerSkipReason, NODE_IMAGE, startDocker, type TestDocker } from "../../../helpers/docker.js";
import { requireOrSkip } from "../../../helpers/services.js";
import { until } from "../support.js";
import { driverConfig, modelOf, NETWORK, openDriver } from "./docker-rig.js";

const reason = await dockerSkipReason();
if (requireOrSkip(t, "docker", reason)) {
  const docker = await startDocker();
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    await docker.stop();
  });
  await docker.createNetwork(NETWORK);
  tests(docker);
}

const soon = () => Date.now() + 500;
const answers = (url: string) =>
  until(async () => (await fetch(`${url}/readyz`).catch(() => null))?.status === 200, `${url} is ready`);

function tests(docker: TestDocker): void {
  const exists = (name: string) =>
    docker.client
      .getContainer(name)
      .inspect()
      .then(
        () => true,
        () => false,
      );

  t.test("a container is created, answers, is stopped and leaves nothing but its log", async (t) => {
    const { driver, exits, onExit } = openDriver(t, driverConfig(docker), modelOf("c1"));
    const launched = await driver.start(onExit);
    t.match(launched, { id: /^[0-9a-f]{64}$/, address: /^\d+\.\d+\.\d+\.\d+$/ });
    t.equal(launched.url, `http://${launched.address}:8000`);
    await answers(launched.url);
    const signal = new AbortController().signal;
    t.match(await text(await driver.logs({ tail: 10, follow: false, signal })), /"url"/);
    await driver.stop(soon());
    t.notOk(await exists("c1"));
    t.equal(exits.length, 1);
    t.match(await text(await driver.logs({ tail: 10, follow: false, signal })), /"url"/, "its last words are kept");
    await driver.stop(soon());
    t.equal(exits.length, 1, "stopping twice is harmless");
  });

  t.test("labels and limits are as docker inspect shows them", async (t) => {
    const deploy = { resources: { limits: { memory: "256m", cpus: "0.5" }, reservations: { memory: "64m" } } };
    const model = modelOf("c2", { deploy, deploymentType: "auto", idleTtlMs: 60_000 });
    const { driver, onExit } = openDriver(t, driverConfig(docker), model);
    const { id } = await driver.start(onExit);
    const { Config, HostConfig, Name } = await docker.client.getContainer(id).inspect();
    t.equal(Name, "/c2");
    t.equal(Config.Image, NODE_IMAGE);
    t.match(Config.Labels, {
      "com.docker.compose.project": "cms",
      "com.docker.compose.service": "c2",
      "org.cogstack.model-serve": "c2",
      "org.cogstack.model-serve.uri": "models:/medcat/1",
      "org.cogstack.model-gateway.ttl": "60",
      "org.cogstack.model-gateway.managed-by": "cmg",
      "org.cogstack.model-gateway.deployment-type": "auto",
    });
    t.match(HostConfig, {
      Memory: 256 * 2 ** 20,
      MemoryReservation: 64 * 2 ** 20,
      NanoCpus: 5e8,
      NetworkMode: NETWORK,
      AutoRemove: false,
    });
    t.match(HostConfig.RestartPolicy, { Name: "" });
  });

  t.test("the exit code and the want of memory are told", async (t) => {
    const command = ["/app/model-server.mjs", "--exit", "3"];
    const one = openDriver(t, driverConfig(docker, { command }), modelOf("c3"));
    await one.driver.start(one.onExit);
    await until(() => one.exits.length > 0, "its end");
    t.strictSame(one.exits, ["exited with code 3"]);

    const greedy = "const kept = []; setInterval(() => kept.push(Buffer.alloc(8e6, 1)), 5)";
    const deploy = { resources: { limits: { memory: "64m" } } };
    const two = openDriver(t, driverConfig(docker, { command: ["-e", greedy] }), modelOf("c4", { deploy }));
    await two.driver.start(two.onExit);
    await until(() => two.exits.length > 0, "its end");
    t.strictSame(two.exits, ["ran out of memory (limit 64 MiB)"]);
  });
}
