import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { fileURLToPath } from "node:url";
import t from "tap";
import { startGazetteer } from "../../helpers/gazetteer.js";

const MAIN = fileURLToPath(new URL("../../../examples/gazetteer/main.js", import.meta.url));

t.test("the port opens only when the model is loaded", async (t) => {
  const started = performance.now();
  const server = await startGazetteer(t, { args: ["--load-ms", "400"] });
  t.ok(performance.now() - started >= 400);
  t.equal((await fetch(`${server.url}/healthz`)).status, 200);
});

t.test("a server that is never ready says so for ever", async (t) => {
  const { url } = await startGazetteer(t, { args: ["--never-ready"] });
  t.equal((await fetch(`${url}/readyz`)).status, 503);
  t.equal((await fetch(`${url}/healthz`)).status, 503);
});

t.test("an empty value in a command means the default", async (t) => {
  const { url } = await startGazetteer(t, { args: ["--model-path=", "--data-dir=", "--train-doc-ms="] });
  t.equal((await fetch(`${url}/healthz`)).status, 200);
});

t.test("it dies when told to", async (t) => {
  const server = await startGazetteer(t, { args: ["--die-after-ms", "600"] });
  t.equal(await server.exited, 1);
});

t.test("SIGTERM ends it at once when idle, and cuts open streams after the grace", async (t) => {
  const server = await startGazetteer(t, { args: ["--grace-ms", "200"] });
  const socket = connect(server.port, "127.0.0.1", () => {
    socket.write(
      'POST /stream/process HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n12\r\n{"text":"asthma"}\n\r\n',
    );
  });
  await once(socket, "data");
  socket.on("error", () => {});
  const closed = once(socket, "close");
  await server.stop();
  await closed;
  t.equal(await server.exited, 0, "it ended by itself");
});

t.test("bad flags and a taken port end it with a reason", async (t) => {
  const server = await startGazetteer(t);
  for (const [args, reason] of [
    [["--port", "x"], /--port must be a whole number/],
    [["--nonsense"], /--nonsense/],
    [["--port", String(server.port)], /EADDRINUSE/],
    [["--model-path", "/nowhere.json"], /ENOENT/],
  ] as const) {
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "ignore", "pipe"] });
    let complaint = "";
    child.stderr.on("data", (text) => {
      complaint += text;
    });
    const [code] = await once(child, "close");
    t.equal(code, 2);
    t.match(complaint, reason);
  }
});

t.test("an idle connection is closed after five seconds", async (t) => {
  const server = await startGazetteer(t);
  const socket = connect(server.port, "127.0.0.1", () => socket.write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"));
  const [head] = await once(socket, "data");
  t.notMatch(String(head), /connection:/i, "uvicorn names no connection header while it keeps one open");
  const answered = performance.now();
  await once(socket, "close");
  const openMs = performance.now() - answered;
  t.ok(openMs > 4_000 && openMs < 20_000, `${Math.round(openMs)} ms`);
});
