import { text } from "node:stream/consumers";
import t from "tap";
import { containerSpec } from "../../../../sidecar/models/drivers/container-spec.js";
import { NODE_IMAGE, startDockerFor, type TestDocker } from "../../../helpers/docker.js";
import { until } from "../support.js";
import { driverConfig, modelOf, NETWORK, openDriver } from "./docker-rig.js";

const docker = await startDockerFor(t, NETWORK);
if (docker !== null) tests(docker);

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
    t.strictSame(exits, ["was stopped"]);
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

    const greedy = "const kept = []; setInterval(() => kept.push(Buffer.alloc(2e7, 1)), 1)";
    const deploy = { resources: { limits: { memory: "64m" } } };
    const two = openDriver(t, driverConfig(docker, { command: ["-e", greedy] }), modelOf("c4", { deploy }));
    await two.driver.start(two.onExit);
    await until(() => two.exits.length > 0, "its end");
    t.strictSame(two.exits, ["ran out of memory (limit 64 MiB)"]);
  });

  t.test("killed, stopped or removed by hand, it says by whom", async (t) => {
    const killed = openDriver(t, driverConfig(docker), modelOf("k1"));
    const { id, url } = await killed.driver.start(killed.onExit);
    await answers(url);
    await docker.client.getContainer(id).kill();
    await until(() => killed.exits.length > 0, "its end");
    t.strictSame(killed.exits, ["was stopped by an operator (SIGKILL)"]);
    const again = await killed.driver.start(killed.onExit);
    t.not(again.id, id, "the dead one was removed and a new one is there");
    await docker.client.getContainer(again.id).remove({ force: true });
    await until(() => killed.exits.length > 1, "its removal");
    t.match(killed.exits[1], /by an operator/);
    await killed.driver.stop(soon());
    t.equal(killed.exits.length, 2);
  });

  t.test("one that an operator started anew is taken over by the next start", async (t) => {
    const { driver, exits, onExit } = openDriver(t, driverConfig(docker), modelOf("k2"));
    const { id } = await driver.start(onExit);
    await docker.client.getContainer(id).restart({ t: 0 });
    await until(() => exits.length > 0, "the end of the first run");
    const again = await driver.start(onExit);
    t.equal(again.id, id);
    await answers(again.url);
  });

  t.test("a later sidecar finds what runs, a paused one too, and stops it", async (t) => {
    const config = driverConfig(docker);
    const first = openDriver(t, config, modelOf("a1"));
    const { id, url } = await first.driver.start(first.onExit);
    await answers(url);
    first.client.close();
    await docker.client.getContainer(id).pause();
    const second = openDriver(t, config, modelOf("a1"));
    t.match(await second.driver.adopt(second.onExit), { id, url });
    await second.driver.stop(Date.now() + 20_000);
    t.notOk(await exists("a1"));
    const log = await second.driver.logs({ tail: 1, follow: false, signal: new AbortController().signal });
    t.equal(await text(log), "told to end\n", "it could hear the signal");
    t.equal(second.exits.length, 1);
    t.equal(await second.driver.adopt(second.onExit), null);
  });

  t.test("what serves another URI, or never began, is removed when a later sidecar looks", async (t) => {
    const config = driverConfig(docker);
    const first = openDriver(t, config, modelOf("a2"));
    await answers((await first.driver.start(first.onExit)).url);
    const changed = openDriver(t, config, modelOf("a2", { modelUri: "models:/medcat/2" }));
    t.equal(await changed.driver.adopt(changed.onExit), null);
    t.notOk(await exists("a2"));
    const { id } = await createOnly("a2");
    t.equal(await changed.driver.adopt(changed.onExit), null, "a crash came between its creation and its start");
    t.notOk(await exists(id));
  });

  t.test(
    "a container of that name is removed when it is ours and dead, and left alone when it is not ours",
    async (t) => {
      const foreign = await docker.client.createContainer({ name: "n1", Image: NODE_IMAGE, Cmd: ["-v"] });
      const { driver, exits, onExit } = openDriver(t, driverConfig(docker), modelOf("n1"));
      await t.rejects(driver.start(onExit), {
        code: "MODEL_START_FAILED",
        message: /container named 'n1'.*in its way/,
      });
      await driver.stop(soon());
      t.ok(await exists(foreign.id), "it is not ours to remove");
      await foreign.remove();
      const { id } = await createOnly("n1");
      const launched = await driver.start(onExit);
      t.equal(launched.id, id, "one that is about to be started by somebody is started");
      await docker.client.getContainer(id).kill();
      await until(() => exits.length > 0, "its end");
      t.not((await driver.start(onExit)).id, id);
    },
  );

  t.test("two that start the same model at the same time share one container", async (t) => {
    const config = driverConfig(docker);
    const rigs = [1, 2, 3].map(() => openDriver(t, config, modelOf("r1")));
    const launched = await Promise.all(rigs.map(({ driver, onExit }) => driver.start(onExit)));
    t.equal(new Set(launched.map(({ id }) => id)).size, 1);
    await answers(launched[0]!.url);
    await rigs[0]!.driver.stop(soon());
    await until(() => rigs.every(({ exits }) => exits.length === 1), "all of them know");
  });

  t.test("what is missing is named, and nothing is left behind", async (t) => {
    const cases = [
      [{ image: "127.0.0.1:1/none:1" }, /image '127\.0\.0\.1:1\/none:1' is not there and could not be pulled/],
      [{ network: "nowhere" }, /network 'nowhere' does not exist; create it or set cms.network/],
      [{ volumes: { "/no/such/folder": "/x" } }, /cannot mount its volumes; see cms.volumes/],
      [{ gpus: 1 }, /no GPU/],
    ] as const;
    for (const [cms, message] of cases) {
      const { driver, exits, onExit } = openDriver(t, driverConfig(docker, cms), modelOf("m1"));
      await t.rejects(driver.start(onExit), { code: "MODEL_START_FAILED", message }, JSON.stringify(cms));
      t.notOk(await exists("m1"));
      t.strictSame(exits, []);
    }
    const deploy = { resources: { limits: { memory: "1k" } } };
    const small = openDriver(t, driverConfig(docker), modelOf("m2", { deploy }));
    await t.rejects(small.driver.start(small.onExit), { message: /does not take its memory limits/ });
  });

  t.test("what a request brought reaches the program as it is", async (t) => {
    const uri = `$(touch /tmp/x)\`id\`; --host=1\nsecond {port} "line" ${"x".repeat(10_000)}`;
    const command = ["-e", "console.log(JSON.stringify(process.argv.slice(1)))", "--", "--uri={model_uri}", "{name}"];
    const { driver, exits, onExit } = openDriver(
      t,
      driverConfig(docker, { command }),
      modelOf("h1", { modelUri: uri }),
    );
    await driver.start(onExit);
    await until(() => exits.length > 0, "its end");
    const log = await text(await driver.logs({ tail: 5, follow: false, signal: new AbortController().signal }));
    t.strictSame(JSON.parse(log), [`--uri=${uri}`, "h1"]);
    const long = openDriver(t, driverConfig(docker), modelOf(`l${"o".repeat(254)}`));
    await answers((await long.driver.start(long.onExit)).url);
  });

  t.test("a followed log brings both streams as they come, and ends with the run", async (t) => {
    const script = "console.log('out'); setTimeout(() => console.error('err'), 300); setTimeout(() => {}, 600)";
    const { driver, onExit } = openDriver(t, driverConfig(docker, { command: ["-e", script] }), modelOf("f1"));
    await driver.start(onExit);
    const log = await driver.logs({ tail: 10, follow: true, signal: new AbortController().signal });
    t.equal(await text(log), "out\nerr\n");
    const gone = new AbortController();
    await driver.start(onExit);
    const cut = await driver.logs({ tail: 10, follow: true, signal: gone.signal });
    gone.abort();
    t.type(await text(cut), "string", "the signal ends it");
  });

  /** As a crash between creation and start leaves it. */
  function createOnly(name: string) {
    const { HostConfig, ...spec } = containerSpec(modelOf(name), {
      config: driverConfig(docker),
      now: Date.now(),
      packageFile: null,
    });
    return docker.client.createContainer({ name, ...spec, HostConfig } as object);
  }
}
