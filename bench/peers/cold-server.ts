/** A model server that takes a while to load: `--port N --load-ms N`. Its answer tells when it was ready and when the request came. */
import { createServer } from "node:http";
import { parseArgs } from "node:util";

const { values: flags } = parseArgs({ options: { port: { type: "string" }, "load-ms": { type: "string" } } });
/** Comparable between processes of one machine. */
const now = () => performance.timeOrigin + performance.now();
let readyAt = Number.NaN;

setTimeout(() => {
  createServer((req, res) => {
    const seenAt = now();
    const isProbe = req.url === "/healthz" || req.url === "/readyz";
    res.writeHead(200, { "content-type": "application/json" });
    res.end(isProbe ? '"ok"' : JSON.stringify({ readyAt, seenAt }));
    req.resume();
  }).listen(Number(flags.port), "127.0.0.1", () => {
    readyAt = now();
  });
}, Number(flags["load-ms"]));
