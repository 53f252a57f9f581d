/** The project's containers, over a socket that answers as a Docker daemon does: what a real one refuses it does not refuse on demand. */
import { createServer } from "node:http";
import { join } from "node:path";
import t, { type Test } from "tap";
import { systemClock } from "../../../core/runtime/clock.js";
import { DockerClient } from "../../../sidecar/models/docker-client.js";
import { ProjectContainers } from "../../../sidecar/models/project-containers.js";
import { makeFolder } from "../../helpers/folder.js";
import { configOf, folderOf, keepLog } from "./support.js";

interface Said {
  readonly status: number;
  readonly json?: unknown;
}

const GONE = { status: 404, json: { message: "No such container" } };
const LABELS = {
  "com.docker.compose.project": "cms",
  "com.docker.compose.service": "m",
  "org.cogstack.model-serve": "m",
};

/** Containers of one name by their ids, newest first; `refuses`: an operation that does not work, and the words for it. */
async function daemonOf(t: Test, states: Readonly<Record<string, string>>, refuses?: readonly [string, string]) {
  const there = new Map(Object.entries(states));
  const asked: string[] = [];
  const answer = (method: string, path: string): Said => {
    if (path === "/containers/json") {
      return { status: 200, json: [...there].map(([Id, State]) => ({ Id, State, Names: [`/${Id}`], Labels: LABELS })) };
    }
    const [, , id = "", operation = "remove"] = path.split("/");
    const state = there.get(id);
    if (state === undefined) return GONE;
    if (method === "GET") {
      const isUp = state === "running" || state === "paused";
      return { status: 200, json: { Id: id, State: { Status: state, Running: isUp, Paused: state === "paused" } } };
    }
    asked.push(`${operation} ${id}`);
    if (operation === refuses?.[0]) return { status: 500, json: { message: refuses[1] } };
    if (operation === "remove") there.delete(id);
    else there.set(id, operation === "stop" ? "exited" : "running");
    return { status: 204 };
  };
  const server = createServer((req, res) => {
    const { status, json } = answer(req.method!, req.url!.replace(/\?.*$/, "").replace(/^\/v[\d.]+/, ""));
    res.writeHead(status, { "content-type": "application/json" });
    res.end(json === undefined ? undefined : JSON.stringify(json));
  });
  const socket = join(makeFolder(t), "docker.sock");
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const docker = new DockerClient({ socketPath: socket, clock: systemClock });
  t.teardown(() => {
    docker.close();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  const { logger, lines } = keepLog();
  const config = configOf({ discovery: { docker: { enabled: true, socket } } });
  const options = { docker, config: () => config, dataDir: join(folderOf(t), "data"), clock: systemClock, logger };
  return { containers: new ProjectContainers(options), asked, lines };
}

t.test("a paused container runs: it is woken to hear that it is to end", async (t) => {
  const { containers, asked } = await daemonOf(t, { c1: "paused" });
  t.equal(await containers.remove("m", false), "removed");
  t.strictSame(asked, ["unpause c1", "stop c1", "remove c1"]);
  t.equal(await containers.remove("m", true), "unknown");
});

t.test("of two of one name the running one counts, whichever is newer", async (t) => {
  const { containers, asked } = await daemonOf(t, { c2: "exited", c1: "running" });
  t.equal(await containers.remove("m", false), "removed");
  t.strictSame(asked, ["stop c1", "remove c1"]);
  t.equal(await containers.remove("m", false), "down");
  t.equal(await containers.remove("m", true), "removed");
});

for (const operation of ["stop", "remove"]) {
  t.test(`what the daemon says when it refuses to ${operation} is for operators alone`, async (t) => {
    const { containers, lines } = await daemonOf(t, { c1: "running" }, [operation, "cannot: /srv/secret is busy"]);
    await t.rejects(containers.remove("m", false), {
      code: "DEPLOY_FAILED",
      message: "Model 'm': its container cannot be stopped and removed.",
    });
    t.match(lines, [{ event: "docker_refused", model: "m", reason: "cannot: /srv/secret is busy" }]);
  });
}
