/**
 * The model server behind every peer: answers at once with fixed bytes, takes bodies of any length, gives `?answer=<bytes>`
 * of zeroes. A process of its own; its first message is its port.
 */
import { createServer, type ServerResponse } from "node:http";
import { SMALL_ANSWER } from "./answer.js";

const CHUNK = Buffer.alloc(64 * 1024);

function giveZeroes(res: ServerResponse, bytes: number): void {
  let left = bytes;
  res.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes });
  const fill = () => {
    while (left > 0) {
      const part = left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, left);
      left -= part.length;
      if (!res.write(part)) return void res.once("drain", fill);
    }
    res.end();
  };
  fill();
}

const server = createServer((req, res) => {
  let received = 0;
  req.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  req.once("end", () => {
    const wanted = /[?&]answer=(\d+)/.exec(req.url ?? "");
    if (wanted !== null) return giveZeroes(res, Number(wanted[1]));
    res.writeHead(200, {
      "content-type": "application/json",
      "content-length": SMALL_ANSWER.length,
      "x-received-bytes": received,
    });
    res.end(SMALL_ANSWER);
  });
});
// Longer than any pause of a benchmark: connections that close under the peers would be counted against them.
server.keepAliveTimeout = 600_000;
server.requestTimeout = 0;
server.listen({ port: 0, host: "127.0.0.1", backlog: 2048 }, () => {
  const address = server.address();
  if (address !== null && typeof address !== "string") process.send?.(address.port);
});
process.once("disconnect", () => process.exit(0));
