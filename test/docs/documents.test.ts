/** What the documents say is there is there, and what they tell people to type is understood. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import t from "tap";
import { EXIT } from "../../cli/exit.js";
import { type Actions, createProgram } from "../../cli/program.js";
import { commandLines, words } from "./fences.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const DOCUMENTS = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "docs/cli.md",
  "docs/models.md",
  "docs/registry.md",
  "docs/tasks.md",
  "docs/training.md",
  "docs/webhooks.md",
];
const read = (path: string) => readFileSync(join(ROOT, path), "utf8");

t.test("every path named in ARCHITECTURE.md and CONTRIBUTING.md exists", async (t) => {
  for (const document of ["ARCHITECTURE.md", "CONTRIBUTING.md"]) {
    const named = [...read(document).matchAll(/`((?:[\w.-]+\/)+[\w.-]*|\.[\w-]+\.cjs)`/g)].map((match) => match[1]!);
    // What a build or a running Sluice makes is not in the tree.
    const paths = named.filter((path) => !/^(dist|payloads|results)\//.test(path));
    t.ok(paths.length > 5, `${document} names paths`);
    for (const path of new Set(paths)) t.ok(existsSync(join(ROOT, path)), `${document}: ${path}`);
  }
});

t.test("every bare file name in ARCHITECTURE.md's invariants is one of the tree", async (t) => {
  const text = read("ARCHITECTURE.md");
  const whole = new Set([...text.matchAll(/`((?:[\w-]+\/)+([\w-]+\.ts))`/g)].map((match) => match[2]!));
  const known = new Set([...whole, "decide.ts"]);
  for (const [, name] of text.matchAll(/`([\w-]+\.ts)`/g)) t.ok(known.has(name!), name!);
});

t.test("every link between documents leads somewhere", async (t) => {
  for (const document of DOCUMENTS) {
    for (const [, target] of read(document).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      t.ok(existsSync(join(ROOT, dirname(document), target!)), `${document}: ${target}`);
    }
  }
});

t.test("every npm script the documents name exists", async (t) => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  for (const document of DOCUMENTS) {
    for (const [, run, name] of read(document).matchAll(/\bnpm (run )?([a-z:]+)/g)) {
      if (run === undefined && !["start", "test"].includes(name!)) continue;
      t.ok(Object.hasOwn(scripts, name!), `${document}: npm ${run ?? ""}${name}`);
    }
  }
});

t.test("every sluice command in the documents and in the help is understood", async (t) => {
  const help = createProgram(never, "0.0.0");
  let text = "";
  help.configureOutput({ writeOut: (more) => (text += more) }).outputHelp();
  const lines = [
    ...DOCUMENTS.flatMap((document) => commandLines(read(document))),
    ...text.split("\n").flatMap((line) => (/^ {2}sluice /.test(line) ? [line.trim().split(/ {3,}/)[0]!] : [])),
  ].flatMap((line) => line.split(/ && | \| /));
  const commands = lines.flatMap((line) => {
    const found = /^(?:sluice|node dist\/cli\/main\.js) (.+)$/.exec(line.trim());
    return found === null ? [] : [found[1]!];
  });
  t.ok(commands.length > 15, `${commands.length} commands`);
  for (const command of commands) await t.resolves(understand(words(command)), `sluice ${command}`);
});

t.test("a command that is not understood would be noticed", async (t) => {
  await t.rejects(understand(["submitt", "m"]));
  await t.rejects(understand(["submit", "m", "process", "x", "--ouptut", "y"]));
  await t.rejects(understand(["tasks", "list", "--limit", "none"]));
});

t.test("the exit codes in docs/cli.md are those of the program", async (t) => {
  const rows = [...read("docs/cli.md").matchAll(/^\| (\d+) \|/gm)].map((match) => Number(match[1]));
  t.same(rows, Object.values(EXIT));
});

t.test("CHANGELOG.md has a Pending section", async (t) => {
  t.match(read("CHANGELOG.md"), /^## Pending$/m);
});

const nothing = async () => {};
const never: Actions = {
  serve: nothing,
  proxy: nothing,
  sidecar: nothing,
  listModels: nothing,
  showModel: nothing,
  deployModel: nothing,
  removeModel: nothing,
  startModel: nothing,
  stopModel: nothing,
  printLogs: nothing,
  watchModels: nothing,
  listOnDemand: nothing,
  showOnDemand: nothing,
  listVersions: nothing,
  createOnDemand: nothing,
  updateOnDemand: nothing,
  disableOnDemand: nothing,
  enableOnDemand: nothing,
  listTasks: nothing,
  showTask: nothing,
  explainTask: nothing,
  waitForTask: nothing,
  cancelTask: nothing,
  submit: nothing,
  listRegistry: nothing,
  pushVersion: nothing,
  pullVersion: nothing,
  changeAlias: nothing,
  deleteFromRegistry: nothing,
  verifyVersions: nothing,
  importArchive: nothing,
  exportArchive: nothing,
  serveRegistry: nothing,
};

/** Parses a command line without doing anything. */
async function understand(args: readonly string[]): Promise<void> {
  const program = createProgram(never, "0.0.0");
  silence(program);
  await program.parseAsync(args, { from: "user" });
}

function silence(command: Command): void {
  command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
  // The work of `config` comes with its own commands: it is parsed, not done.
  if (command.parent?.name() === "config") command.action(nothing);
  for (const child of command.commands) silence(child as Command);
}
