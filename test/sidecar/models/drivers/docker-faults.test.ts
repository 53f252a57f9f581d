import t from "tap";
import { type Clock, systemClock } from "../../../../core/runtime/clock.js";
import { ContainerWatches } from "../../../../sidecar/models/drivers/container-watches.js";
import { startDockerFor, type TestDocker } from "../../../helpers/docker.js";
import { until } from "../support.js";
import { driverConfig, modelOf, NETWORK, openDriver } from "./docker-rig.js";

const docker = await startDockerFor(t, NETWORK);
if (docker !== null) tests(docker);

const answers = (url: string) =>
  until(async () => (await fetch(`${url}/readyz`).catch(() => null))?.status === 200, `${url} is ready`);

function tests(docker: TestDocker): void {
  t.test("taken out of the network it is out of reach, and the next start puts it back", async (t) => {
    const { driver, exits, onExit } = openDriver(t, driverConfig(docker), modelOf("n1"));
    const { id } = await driver.start(onExit);
    await docker.client.getNetwork(NETWORK).disconnect({ Container: id, Force: true });
    await until(() => exits.length > 0, "the loss is seen", 20_000);
    t.match(exits, [/is no longer at its address on the network/]);
    const again = await driver.start(onExit);
    t.equal(again.id, id, "it went on all the while");
    await answers(again.url);
  });

  t.test("with the network removed a start names it, and works once it is there again", async (t) => {
    const config = driverConfig(docker, { network: "sluice-test-gone" });
    const { driver, exits, onExit } = openDriver(t, config, modelOf("n2"));
    await t.rejects(driver.start(onExit), { message: /network 'sluice-test-gone' does not exist/ });
    await docker.createNetwork("sluice-test-gone");
    await answers((await driver.start(onExit)).url);
    t.strictSame(exits, []);
  });

  t.test("while the daemon is away it is said, and nothing is believed to have ended", async (t) => {
    const { driver, exits, onExit } = openDriver(t, driverConfig(docker), modelOf("d1"));
    const other = openDriver(t, driverConfig(docker), modelOf("d2"));
    const { id } = await driver.start(onExit);
    await docker.kill();
    await t.rejects(other.driver.start(other.onExit), {
      code: "MODEL_START_FAILED",
      message: /daemon does not answer/,
    });
    const signal = new AbortController().signal;
    await t.rejects(driver.logs({ tail: 1, follow: false, signal }), { code: "DOCKER_UNAVAILABLE" });
    await t.rejects(driver.stop(Date.now() + 700), { code: "DOCKER_UNAVAILABLE", status: 503 });
    t.strictSame(exits, [], "it may go on running");
    await docker.start();
    // Without live-restore a daemon that begins ends what ran before it.
    await until(() => exits.length > 0, "the truth is learned", 20_000);
    t.match(exits, [/^ended while the Docker daemon was away/]);
    const again = await driver.start(onExit);
    t.not(again.id, id);
    await answers(again.url);
    await answers((await other.driver.start(other.onExit)).url);
  });

  t.test(
    "an address that another container has got belongs to the other alone, before anything is sent there",
    async (t) => {
      const watches = new ContainerWatches();
      // One that looks for a daemon that is away only once.
      const clock: Clock = { ...systemClock, after: () => () => undefined };
      const first = openDriver(t, driverConfig(docker), modelOf("e1"), { watches, clock });
      const before = await first.driver.start(first.onExit);
      await docker.kill();
      await docker.start();
      t.strictSame(first.exits, [], "nobody has seen its end yet");
      const config = driverConfig(docker);
      for (let k = 0; k < 8 && first.exits.length === 0; k++) {
        const next = openDriver(t, config, modelOf(`e${k + 2}`), { watches });
        const { address } = await next.driver.start(next.onExit);
        t.equal(first.exits.length, address === before.address ? 1 : 0);
      }
      t.match(first.exits, [/^ended while the Docker daemon was away/]);
    },
  );

  t.test("a stop that begins while the daemon is away ends with its return", async (t) => {
    const { driver, exits, onExit } = openDriver(t, driverConfig(docker), modelOf("d3"));
    const { id } = await driver.start(onExit);
    await docker.kill();
    const stopping = driver.stop(Date.now() + 30_000);
    await docker.start();
    await stopping;
    t.match(
      await docker.client
        .getContainer(id)
        .inspect()
        .catch((cause) => cause),
      { statusCode: 404 },
    );
    t.equal(exits.length, 1);
  });
}
