import { createServer } from "node:net";
import t, { type Test } from "tap";
import { createLogger } from "../../../../core/runtime/logger.js";
import { createDirectory } from "../../../../sidecar/registry/directory/directory.js";
import { pickAddress } from "../../../../sidecar/registry/directory/own-address.js";
import {
  pauseAfter,
  type Registration,
  type RegistrationOptions,
  serviceOf,
  startRegistration,
} from "../../../../sidecar/registry/directory/registration.js";
import { startProbed, TestDirectory, type TestDirectoryOptions } from "../../../helpers/directory.js";
import { fastClock } from "../../../helpers/fast-clock.js";

const TOKEN = "hunter2";
/** 20 s between two looks are half a second. */
const FACTOR = 40;

interface Rig {
  readonly directory: TestDirectory;
  readonly registry: Awaited<ReturnType<typeof startProbed>>;
  readonly lines: string[];
  /** Its last line of all that were logged. */
  register(place?: Partial<RegistrationOptions["place"]>, more?: Partial<RegistrationOptions>): Registration;
}

async function rig(t: Test, options: TestDirectoryOptions & { token?: string; timeoutMs?: number } = {}): Promise<Rig> {
  const directory = await TestDirectory.start(t, options);
  const registry = await startProbed(t);
  const lines: string[] = [];
  const logger = createLogger({ level: "debug", format: "json", process: "test", write: (line) => lines.push(line) });
  const clock = fastClock(FACTOR);
  return {
    directory,
    registry,
    lines,
    register(place = {}, more = {}) {
      const registration = startRegistration({
        directory: createDirectory({
          endpoint: directory.endpoint,
          token: TOKEN,
          timeoutMs: options.timeoutMs ?? 5_000,
        }),
        place: { host: null, listenHost: "127.0.0.1", port: registry.port, ...place },
        properties: { Sim: "20", hpp: "", __version: "mine" },
        version: "9.8.7",
        clock,
        logger,
        ...more,
      });
      t.teardown(() => registration.stop(clock.now() + 1_000));
      return registration;
    },
  };
}

async function until(state: () => boolean): Promise<void> {
  const untilMs = Date.now() + 15_000;
  while (!state()) {
    if (Date.now() > untilMs) throw new Error("it did not come to that");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

t.test("a registry registers what Cogment's own does, is called back, and leaves at its end", async (t) => {
  const { directory, registry, register, lines } = await rig(t);
  const registration = register();
  await until(() => registration.state().isRegistered);
  t.match(directory.services, [
    {
      token: TOKEN,
      host: "127.0.0.1",
      port: registry.port,
      type: 8,
      protocol: 1,
      permanent: false,
      answered: true,
      properties: { Sim: "20", hpp: "", __version: "9.8.7", __registration_source: "Self-Implicit" },
    },
  ]);
  t.equal(registry.probes(), 1, "it could answer before it was registered");
  await registration.stop(Date.now() + 60_000);
  t.same(directory.services, []);
  t.notMatch(lines.join(""), TOKEN);
});

t.test("the request has the fields and numbers of Cogment's protocol", async (t) => {
  const { directory, register } = await rig(t);
  const registration = register({ host: "127.0.0.1", port: 300 });
  await directory.next("registered");
  await registration.stop(Date.now() + 60_000);
  const text = (field: number, value: string) =>
    Buffer.concat([Buffer.from([field, value.length]), Buffer.from(value)]);
  const inside = (field: number, ...parts: Buffer[]) => {
    const all = Buffer.concat(parts);
    return Buffer.concat([Buffer.from([field, all.length]), all]);
  };
  const property = (name: string, value: string) => inside(0x12, text(0x0a, name), text(0x12, value));
  const expected = Buffer.concat([
    inside(0x0a, Buffer.from([0x08, 1]), text(0x12, "127.0.0.1"), Buffer.from([0x18, 0xac, 0x02])),
    inside(
      0x12,
      Buffer.from([0x08, 8]),
      property("Sim", "20"),
      property("hpp", ""),
      property("__version", "9.8.7"),
      property("__registration_source", "Self-Command_Line"),
    ),
  ]);
  const sent = directory.rawRequests[0]!;
  t.same(sent.subarray(0, expected.length), expected);
  t.ok(["", "1800"].includes(sent.subarray(expected.length).toString("hex")), "and permanent is false");
});

t.test("a directory that forgets is told again, and never knows it twice", async (t) => {
  const { directory, register } = await rig(t);
  const registration = register();
  await until(() => registration.state().isRegistered);
  directory.forget();
  await until(() => registration.state().registrations === 2 && registration.state().isRegistered);
  t.equal(directory.services.length, 1);
});

t.test("an entry that is hidden is replaced, not doubled", async (t) => {
  const { directory, register } = await rig(t);
  const registration = register();
  await until(() => registration.state().isRegistered);
  const [before] = directory.services;
  directory.hide();
  await until(() => registration.state().registrations === 2 && registration.state().isRegistered);
  t.equal(directory.services.length, 1);
  t.not(directory.services[0]!.id, before!.id);
});

t.test("a directory that dies is waited for, and what it still knows is not registered again", async (t) => {
  const { directory, register } = await rig(t);
  const registration = register();
  await until(() => registration.state().isRegistered);
  directory.die();
  await until(() => !registration.state().isRegistered);
  t.match(registration.state().problem, /cannot be reached/);
  await directory.comeBack();
  await until(() => registration.state().isRegistered);
  t.equal(registration.state().registrations, 1);
  directory.die();
  directory.forget();
  await directory.comeBack();
  await directory.next("registered");
  await until(() => registration.state().registrations === 2);
  t.equal(directory.services.length, 1);
});

t.test("a directory that is not there, refuses, or says nothing is asked again until it does its work", async (t) => {
  const { directory, register, lines } = await rig(t, { timeoutMs: 300 });
  directory.die();
  const registration = register();
  await until(() => registration.state().problem !== null);
  t.match(registration.state(), { isRegistered: false, problem: /cannot be reached/ });
  await directory.comeBack();
  directory.behave("refuses");
  await until(() => /refuses/.test(registration.state().problem ?? ""));
  t.equal(registration.state().problem, "the directory refuses the registration: no more room");
  directory.behave("hangs");
  await until(() => /did not answer/.test(registration.state().problem ?? ""));
  directory.behave("well");
  await until(() => registration.state().isRegistered);
  t.equal(registration.state().problem, null);
  const told = lines.filter((line) => line.includes("directory-problem"));
  t.equal(told.length, 3, "each problem is told once, however often it comes");
});

t.test("a wrong token is named as the reason and stays out of every word", async (t) => {
  const { directory, register, lines } = await rig(t, { token: "another" });
  const registration = register();
  await until(() => registration.state().problem !== null);
  t.match(registration.state().problem, /refuses the registration: Authentication failure/);
  t.same(directory.services, []);
  t.notMatch(`${lines.join("")}${registration.state().problem}`, TOKEN);
});

t.test("an endpoint that is no directory is named", async (t) => {
  const { registry, register } = await rig(t);
  const directory = createDirectory({ endpoint: `grpc://127.0.0.1:${registry.port}`, token: null });
  const registration = register({}, { directory });
  await until(() => registration.state().problem !== null);
  t.match(registration.state().problem, /no directory: check registry\.directory_endpoint/);
});

t.test("a registry that the directory cannot reach is told so, with the address", async (t) => {
  const { register } = await rig(t, { probeTimeoutMs: 200 });
  const closed = createServer();
  const port = await new Promise<number>((resolve) => {
    closed.listen(0, "127.0.0.1", () => resolve((closed.address() as { port: number }).port));
  });
  await new Promise((resolve) => closed.close(resolve));
  const registration = register({ port });
  await until(() => registration.state().problem !== null);
  t.match(registration.state().problem, new RegExp(`may not reach 127\\.0\\.0\\.1 port ${port}`));
});

t.test("without an address that others could reach it serves on and names the setting", async (t) => {
  const { directory, register } = await rig(t);
  let address: string | null = null;
  const registration = register({ listenHost: "::" }, { discover: async () => address });
  await until(() => registration.state().problem !== null);
  t.match(registration.state().problem, /set registry\.directory_registration_host/);
  address = "127.0.0.1";
  await directory.next("registered");
});

t.test("the end waits for a directory that hangs no longer than it may", async (t) => {
  const { directory, register } = await rig(t);
  const registration = register();
  await until(() => registration.state().isRegistered);
  directory.behave("hangs");
  const begin = performance.now();
  // On the fast clock 10 s are a quarter of a second.
  await registration.stop(Number.MAX_SAFE_INTEGER);
  t.ok(performance.now() - begin < 3_000);
  t.equal(registration.state().isRegistered, false);
  await registration.stop(0);
});

t.test("pauses grow to that between two looks, and the directory's own names win", async (t) => {
  t.same([1, 2, 3, 5, 6, 40].map(pauseAfter), [1_000, 2_000, 4_000, 16_000, 20_000, 20_000]);
  const parts = { host: "h", port: 1, version: "2", properties: { __registration_source: "x", a: "" } };
  t.same(serviceOf({ ...parts, isConfigured: true }), {
    host: "h",
    port: 1,
    properties: { a: "", __version: "2", __registration_source: "Self-Command_Line" },
  });
});

t.test("a machine's own address is none that only itself could use", async (t) => {
  const found = [
    { address: "127.0.0.1", family: "IPv4", internal: true },
    { address: "fe80::1", family: "IPv6", internal: false },
    { address: "169.254.1.1", family: "IPv4", internal: false },
    { address: "10.0.0.7", family: "IPv4", internal: false },
  ] as const;
  t.equal(pickAddress(["127.0.1.1"], found), "10.0.0.7");
  t.equal(pickAddress(["127.0.1.1", "192.0.2.4"], found), "192.0.2.4");
  t.equal(pickAddress([], found.slice(0, 3)), null);
});
