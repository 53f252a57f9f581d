/** Bad input, byte for byte as a hostile or broken client sends it: each gets a clear error, nothing is lost, and the next request works. */
import { connect } from "node:net";
import t, { type Test } from "tap";
import { startGazetteer } from "../helpers/gazetteer.js";
import { startSluice } from "../helpers/sluice.js";

const server = await startGazetteer(t);
const sluice = await startSluice(t, {
  config: {
    discovery: { static: [{ name: "m", url: server.url }], docker: { enabled: false } },
    proxy: { max_body_size: "1MiB", timeouts: { headers: "2s", body: "2s" } },
  },
});

/** Sends raw bytes, piece by piece, and returns everything that comes back until the server closes or goes quiet. */
function raw(
  pieces: readonly (string | Buffer)[],
  options: { gapMs?: number; quietMs?: number; half?: boolean } = {},
): Promise<string> {
  return new Promise((resolve) => {
    let seen = "";
    const socket = connect(sluice.port, "127.0.0.1");
    const quiet = setTimeout(() => socket.destroy(), options.quietMs ?? 6_000);
    socket.on("data", (chunk) => {
      seen += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(quiet);
      resolve(seen);
    });
    socket.on("connect", async () => {
      for (const piece of pieces) {
        if (socket.destroyed) return;
        socket.write(piece);
        if (options.gapMs !== undefined) await new Promise((next) => setTimeout(next, options.gapMs));
      }
      if (options.half === true) socket.end();
    });
  });
}

const post = (path: string, extra: string, body = "") =>
  `POST ${path} HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n${extra}\r\n${body}`;
const get = (path: string, extra = "") => `GET ${path} HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n${extra}\r\n`;
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
const envelopeOf = (answer: string) =>
  JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as {
    source: string;
    error: { code: string; message: string };
  };

/** A test after which the next request still works. */
function hostile(name: string, attack: (t: Test) => Promise<void>): void {
  t.test(name, async (t) => {
    await attack(t);
    t.equal(statusOf(await raw([get("/models/m/healthz")])), 200, "the next request works");
  });
}

hostile("paths that try to climb or hide are refused with a reason", async (t) => {
  for (const path of [
    "/models/m/../../etc/passwd",
    "/models/m/%2e%2e/x",
    "/models/m/a%2fb",
    "/models/m//process",
    "/models//process",
    "/models/m/%zz",
    "/models/m/a%00b",
    "/models/m/a\\b",
    "/models/m/./x",
    "/models/..%2finternal/tasks",
  ]) {
    const answer = await raw([get(path)]);
    t.equal(statusOf(answer), 400, path);
    t.match(envelopeOf(answer), { source: "sluice", error: { code: "BAD_PATH" } }, path);
  }
  const before = (await server.requests()).length;
  await raw([get("/models/m/../process")]);
  t.equal((await server.requests()).length, before, "none of them reached the model server");
});

hostile("the absolute form of a target is read as the RFC says", async (t) => {
  t.equal(
    statusOf(
      await raw(["GET http://elsewhere/models/m/healthz HTTP/1.1\r\nHost: sluice\r\nConnection: close\r\n\r\n"]),
    ),
    200,
  );
});

hostile("nobody outside reaches the wire between proxy and sidecar", async (t) => {
  for (const path of [
    "/internal/tasks",
    "/internal/routes",
    "/internal/metrics",
    "/INTERNAL/tasks",
    "http://x/internal/tasks",
    "/tasks/../internal/tasks",
    "/tasks/%2e%2e/internal/tasks",
  ]) {
    t.ok([400, 404].includes(statusOf(await raw([get(path)]))), path);
  }
});

hostile("request smuggling shapes are refused, and no second request is seen", async (t) => {
  const before = (await server.requests()).length;
  const hidden = "GET /models/m/info HTTP/1.1\r\nHost: x\r\n\r\n";
  const shapes = [
    post("/models/m/process", "Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
    post("/models/m/process", `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n`, `0\r\n\r\n${hidden}`),
    post("/models/m/process", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", `0\r\n\r\n${hidden}`),
    post("/models/m/process", "Transfer-Encoding: xchunked\r\n", `0\r\n\r\n${hidden}`),
    post("/models/m/process", "Content-Length: +5\r\n", "hello"),
    post("/models/m/process", "Content-Length: 5, 5\r\n", "hello"),
    post("/models/m/process", "Transfer-Encoding : chunked\r\n", `0\r\n\r\n${hidden}`),
    post("/models/m/process", "Transfer-Encoding:\tchunked, gzip\r\n", `0\r\n\r\n${hidden}`),
  ];
  for (const shape of shapes) {
    const answer = await raw([shape]);
    t.equal(statusOf(answer), 400, JSON.stringify(shape.slice(0, 120)));
    t.equal(envelopeOf(answer.split("HTTP/1.1 ").slice(0, 2).join("HTTP/1.1 ")).source, "sluice");
  }
  t.equal((await server.requests()).length, before);
});

hostile("malformed headers are refused", async (t) => {
  for (const shape of [
    "GET /models/m/info HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    "GET /models/m/info HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n",
    "GET /models/m/info HTTP/1.1\r\nHost: a\r\nX: a\u0000b\r\n\r\n",
    "GET /models/m/info HTTP/9.9\r\nHost: a\r\n\r\n",
    "NONSENSE\r\n\r\n",
    "GET /models/m/info HTTP/1.1\r\nConnection: close\r\n\r\n",
  ]) {
    t.equal(statusOf(await raw([shape])), 400, JSON.stringify(shape));
  }
});

hostile("10,000 bytes of headers pass, 20,000 are refused by name", async (t) => {
  t.equal(statusOf(await raw([get("/models/m/healthz", `X-Long: ${"a".repeat(10_000)}\r\n`)])), 200);
  const answer = await raw([get("/models/m/healthz", `X-Long: ${"a".repeat(20_000)}\r\n`)]);
  t.equal(statusOf(answer), 431);
  t.equal(envelopeOf(answer).error.code, "HEADERS_TOO_LARGE");
  const heavy = await raw([
    post(
      "/models/m/process_bulk",
      `X-Long: ${"a".repeat(10_000)}\r\nContent-Type: application/json\r\nContent-Length: 9\r\n`,
      '["stroke"]'.slice(0, 9),
    ),
  ]);
  t.ok(statusOf(heavy) >= 200, "also on the heavy path");
});

hostile("a body above the limit is refused, naming the limit, on both paths", async (t) => {
  for (const path of ["/models/m/process", "/models/m/process_bulk"]) {
    const declared = await raw([
      post(path, "Content-Type: text/plain\r\nContent-Length: 2000000\r\n", "x".repeat(1_000)),
    ]);
    t.equal(statusOf(declared), 413, path);
    t.match(envelopeOf(declared).error, { code: "BODY_TOO_LARGE", message: /1048576|1 MiB/ });
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    const chunked = await raw([
      post(path, "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"),
      ...Array.from({ length: 20 }, () => chunk),
    ]);
    t.equal(statusOf(chunked), 413, `${path}, chunked`);
  }
});

hostile("a body cut short leaves nothing behind", async (t) => {
  const before = (await server.requests()).filter((each) => each.sha256 !== null).length;
  for (const path of ["/models/m/process", "/models/m/process_bulk", "/models/m/tasks/process"]) {
    await raw([post(path, "Content-Type: text/plain\r\nContent-Length: 1000\r\n", "only this much")], { half: true });
  }
  t.equal((await server.requests()).filter((each) => each.sha256 !== null).length, before);
});

hostile("a client that dribbles its headers, or stops in the middle of a queued body, is let go", async (t) => {
  const slow = await raw(
    ["GET /models/m/info HTTP/1.1\r\n", "Host: a\r\n", ...Array.from({ length: 20 }, () => "X: 1\r\n")],
    { gapMs: 400, quietMs: 12_000 },
  );
  t.equal(statusOf(slow), 408);
  const stalled = await raw(
    [post("/models/m/process_bulk", "Content-Type: application/json\r\nContent-Length: 1000\r\n", "[")],
    { quietMs: 12_000 },
  );
  t.equal(statusOf(stalled), 408);
  t.equal(envelopeOf(stalled).error.code, "BODY_TIMEOUT");
});

hostile("tracking ids that CMS would choke on never get there", async (t) => {
  for (const id of ["", "-a", "a%0a", "a%20b", "%C3%A9", "a".repeat(257), "a/b"]) {
    const answer = await raw([
      post(
        `/models/m/train_supervised?tracking_id=${id}`,
        "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 0\r\n",
      ),
    ]);
    t.equal(statusOf(answer), 400, id.slice(0, 20));
  }
});

hostile("methods that make no sense here are refused", async (t) => {
  t.equal(statusOf(await raw(["CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n"])), 405);
  t.ok(statusOf(await raw(["TRACE /models/m/process HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"])) >= 400);
});
