/**
 * A small model server that the tests of this folder start as a real process: `node model-server.js --port N [switches]`.
 * Its first line of output says where it listens.
 */
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  strict: false,
  allowPositionals: true,
  options: {
    port: { type: "string", default: "0" },
    host: { type: "string", default: "127.0.0.1" },
    /** A line is added at every start. */
    starts: { type: "string" },
    /** The arguments and the environment are written here as JSON. */
    seen: { type: "string" },
    /** Listens only after so many milliseconds. */
    "ready-after": { type: "string", default: "0" },
    /** Answers 503 to the readiness check for ever. */
    "never-ready": { type: "boolean" },
    /** Neither /healthz nor /readyz, and 401 on /info: the vLLM flavour behind a key. */
    "info-only": { type: "boolean" },
    /** Ends at once with this code. */
    exit: { type: "string" },
    /** Ends at once as long as this file is there. */
    "exit-while": { type: "string" },
    /** Ends at once as long as this file names one of its further arguments. */
    "bad-file": { type: "string" },
    /** Starts a grandchild in the same group that ignores SIGTERM, and writes its pid here. */
    grandchild: { type: "string" },
    "ignore-term": { type: "boolean" },
  },
});
const text = (name: keyof typeof values) => values[name] as string | undefined;

if (text("starts") !== undefined) appendFileSync(text("starts")!, `${process.pid}\n`);
if (text("seen") !== undefined) {
  writeFileSync(text("seen")!, JSON.stringify({ argv: process.argv.slice(2), env: process.env, cwd: process.cwd() }));
}
if (text("exit") !== undefined) process.exit(Number(text("exit")));
if (text("exit-while") !== undefined && existsSync(text("exit-while")!)) process.exit(9);
if (text("bad-file") !== undefined && existsSync(text("bad-file")!)) {
  const bad = readFileSync(text("bad-file")!, "utf8").split("\n");
  if (positionals.some((each) => bad.includes(each))) process.exit(11);
}
// The first process of a container hears no signal that it has no handler for.
if (process.pid === 1) {
  process.on("SIGTERM", () => {
    console.log("told to end");
    process.exit(143);
  });
}
if (values["ignore-term"] === true) process.on("SIGTERM", () => {});
// The first process of a container ignores what it has no handler for.
else if (process.pid === 1) process.on("SIGTERM", () => process.exit(0));
if (text("grandchild") !== undefined) {
  const child = spawn(process.execPath, ["-e", "process.on('SIGTERM',()=>{});setInterval(()=>{},1000)"], {
    stdio: "ignore",
  });
  writeFileSync(text("grandchild")!, String(child.pid));
}

let blockedUntil = 0;
const server = createServer((request, response) => {
  const path = request.url!.split("?")[0];
  const answer = (status: number, body: string, type = "text/plain") => {
    response.writeHead(status, { "content-type": type }).end(body);
  };
  const wait = Math.max(0, blockedUntil - Date.now());
  setTimeout(() => {
    if (path === "/die") process.exit(7);
    if (path === "/who") {
      const ms = Number(new URL(request.url!, "http://x").searchParams.get("ms") ?? "0");
      setTimeout(() => answer(200, JSON.stringify({ pid: process.pid, arguments: positionals })), ms);
      return;
    }
    if (path === "/block") {
      blockedUntil = Date.now() + Number(new URL(request.url!, "http://x").searchParams.get("ms"));
      return answer(200, "blocking");
    }
    if (path === "/info") {
      if (values["info-only"] === true) return answer(401, '{"detail":"Unauthorized"}', "application/json");
      const card = {
        api_version: "0.0.1",
        model_type: "medcat_snomed",
        model_description: "a test",
        model_card: null,
        labels: null,
      };
      return answer(200, JSON.stringify(card), "application/json");
    }
    if (values["info-only"] === true) return answer(404, "{}");
    if (path === "/healthz") return answer(200, "OK");
    if (path === "/readyz")
      return values["never-ready"] === true ? answer(503, "loading") : answer(200, "medcat_snomed");
    return answer(404, '{"detail":"Not Found"}', "application/json");
  }, wait).unref();
});
setTimeout(
  () => {
    server.listen(Number(text("port")), text("host"), () => {
      console.log(JSON.stringify({ url: `http://127.0.0.1:${(server.address() as { port: number }).port}` }));
    });
  },
  Number(text("ready-after")),
);
