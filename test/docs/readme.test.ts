/** The README's own commands, as a stranger would type them, on a port and in a folder of their own. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { RunningServe } from "../cli/programs/running-serve.js";
import { commandLines } from "./fences.js";
import { type Ended, runScript } from "./shell.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const MAIN = join(ROOT, "dist/cli/main.js");
const COMMAND_BOUND_MS = 60_000;

const lines = commandLines(readFileSync(join(ROOT, "README.md"), "utf8"));
const { scripts } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { scripts: Record<string, string> };

/** Runs a line in a shell in the repository, as it stands but for the port. */
function type(line: string, port: string): Promise<Ended> {
  return runScript("sh", line.replaceAll("localhost:8888", `localhost:${port}`), {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, SLUICE_URL: `http://localhost:${port}` },
    boundMs: COMMAND_BOUND_MS,
  });
}

t.test("the quick start begins with npm ci && npm start, which serves", async (t) => {
  t.equal(lines[0], "npm ci && npm start");
  t.equal(scripts.start, "exec node dist/cli/main.js serve");
  t.ok(lines.includes("npm ci && npm test"));
  const quickStart = lines.slice(0, lines.indexOf("npm ci && npm test"));
  t.ok(quickStart.length <= 4, "four commands at most");
});

t.test("what the quick start tells people to type works, in that order", async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), "sluice-readme-"));
  const serve = new RunningServe(MAIN, ["serve", "--port", "0", "--data-dir", dataDir], {
    SLUICE_DISCOVERY_DOCKER_ENABLED: "false",
  });
  t.teardown(async () => {
    await serve.end();
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  });
  const { url } = await serve.ready(30_000);
  const { port } = new URL(url);

  const [process, bulk, ...others] = lines.filter((line) => /localhost:8888|main\.js submit/.test(line));
  const first = await type(process!, port);
  t.equal(first.code, 0, first.stderr);
  const { text, annotations } = JSON.parse(first.stdout) as {
    text: string;
    annotations: { start: number; end: number }[];
  };
  const spans = annotations.map(({ start, end }) => text.slice(start, end));
  for (const span of ["3 March 2021", "Dr Khan", "020 7946 0958"]) t.ok(spans.includes(span), `${span} in ${spans}`);

  const second = await type(bulk!, port);
  t.equal(second.code, 0, second.stderr);
  t.equal((JSON.parse(second.stdout) as unknown[]).length, 2);

  for (const line of others) {
    const ended = await type(line, port);
    t.equal(ended.code, 0, `${line}: ${ended.stderr}`);
    t.match(ended.stdout, /"annotations"/);
  }
  t.match(serve.stderr, process!.replace("8888", port), "the curl line it prints is the README's");
});

t.test("the smallest configuration is valid", async (t) => {
  const yaml = /```yaml\n(.*?)```/s.exec(readFileSync(join(ROOT, "README.md"), "utf8"))![1]!;
  const dir = t.testdir({ "that.yaml": yaml });
  const checked = await type(`node dist/cli/main.js config check --config ${join(dir, "that.yaml")}`, "1");
  t.equal(checked.code, 0, checked.stderr);
});
