/** `sluice registry` against a real Sluice: what a script reads, what is left behind, and what a broken line does to a transfer. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import t from "tap";
import type { VersionObject } from "../../core/contract/registry-api.js";
import { startSluice } from "../helpers/sluice.js";
import { runSluice } from "./programs/run-sluice.js";

const sluice = await startSluice(t);
const dir = t.testdir();
const CANARY = "canary-of-a-patient";
const run = (args: readonly string[], url = sluice.url) => runSluice(["registry", ...args, "--url", url]);
const ok = async (args: readonly string[], url?: string) => {
  const { code, stdout, stderr } = await run(args, url);
  t.match({ code, stderr }, { code: 0, stderr: "" }, `${args.join(" ")}: ${stderr}`);
  return stdout.toString();
};
const fileOf = (name: string, bytes: Buffer) => {
  writeFileSync(join(dir, name), bytes);
  return join(dir, name);
};
const hex = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

/** A line that is cut once so many bytes have passed, each time; whole after so many cuts. */
async function startLine(direction: "up" | "down", cutAfterBytes: number, cuts: number) {
  let left = cuts;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(sluice.port, "127.0.0.1");
    for (const socket of [client, upstream]) {
      open.add(socket);
      socket.on("error", () => undefined).once("close", () => open.delete(socket));
    }
    let passed = 0;
    const watched = direction === "up" ? client : upstream;
    watched.on("data", (chunk: Buffer) => {
      passed += chunk.length;
      if (passed < cutAfterBytes || left === 0) return;
      left -= 1;
      client.destroy();
      upstream.destroy();
    });
    client.pipe(upstream);
    upstream.pipe(client);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, cutsLeft: () => left };
}

const bytes = randomBytes(3_000_000);

t.test("a file is pushed, listed, named, pulled and deleted", async (t) => {
  const file = fileOf("model.zip", bytes);
  const unknown = await run(["push", "m", file]);
  t.match(unknown, { code: 1, stderr: /no model "m"[\s\S]*--create makes it/ });
  const data = ["--version-data", `note=${CANARY}`, "--version-data", "stage=a=b"];
  t.equal(await ok(["push", "m", file, "--create", "--alias", "champion", ...data]), "sluice://m/1\n");
  const second = JSON.parse(await ok(["push", "m", file, "--transient", "--json", ...data])) as VersionObject;
  t.match(second, {
    version_number: 2,
    archived: false,
    sha256: hex(bytes),
    user_data: { note: CANARY, stage: "a=b" },
  });
  t.match(await ok(["list"]), /^m\t2\t3000000\t\S+\tchampion → 1\n$/);
  t.match(
    await ok(["list", "m"]),
    new RegExp(`^2\t3000000\t\\S+\tin memory\t-\t${hex(bytes)}\n1\t.*\tchampion\t.*\n$`),
  );
  t.equal(JSON.parse(await ok(["list", "m", "--json", "--limit", "1"])).length, 1);
  t.match(await run(["alias", "m", "next", "latest"]), { code: 1, stderr: /archived/ });
  t.equal(await ok(["alias", "m", "next", "champion"]), "m: next means version 1\n");
  t.match(await ok(["alias", "m"]), /^champion\t1\t.* UTC\nnext\t1\t/);
  t.equal(await ok(["alias", "m", "next", "--remove"]), "m: next means nothing any more\n");
  t.match(await ok(["alias", "m", "next", "--history"]), /^next\tremoved\t.*\nnext\t1\t/);
  const output = join(dir, "pulled.zip");
  t.equal(await ok(["pull", "m/champion", "-o", output]), `${output}\n`);
  t.ok(readFileSync(output).equals(bytes));
  t.match(await run(["pull", "m", "-o", output]), { code: 2, stderr: /there already[\s\S]*--force/ });
  await ok(["pull", "m", "-o", output, "--force"]);
  t.match(await run(["delete", "m"]), { code: 2, stderr: /--all-versions/ });
  t.equal(await ok(["delete", "m/latest"]), "m/2 is deleted\n");
  t.match(await run(["delete", "m/2"]), { code: 1, stderr: /GET \/registry\/models/ });
  t.equal(await ok(["push", "m", file]), "sluice://m/3\n");
  t.same(
    readdirSync(dir).filter((name) => name.endsWith(".part")),
    [],
  );
});

t.test("what is typed wrong is said at once", async (t) => {
  const cases = [
    [["push", "m", join(dir, "none")], /cannot read .*there is no such file/],
    [["push", "m", dir], /is not a file/],
    [["push", "..", "x"], /1 to 255 bytes/],
    [["pull", "m/a b"], /a number, 'latest' or an alias/],
    [["pull", "m", "-o", join(dir, "no", "where")], /where|folder|ENOENT/],
    [["alias", "m", "latest", "1"], /other than 'latest'/],
    [["alias", "m", "--history"], /name the alias/],
    [["push", "m", join(dir, "model.zip"), "--transient", "--alias", "a"], /archived/],
    [["delete", "m/1", "--all-versions"], /not both/],
  ] as const;
  for (const [args, words] of cases) t.match(await run(args), { code: 2, stderr: words }, args.join(" "));
  t.match(await run(["list"], "http://127.0.0.1:1"), { code: 3 });
});

t.test("a push goes on after the line was cut in the middle, and makes one version", async (t) => {
  const big = randomBytes(12_000_000);
  const line = await startLine("up", 5_000_000, 2);
  t.equal(await ok(["push", "cut", fileOf("big", big), "--create"], line.url), "sluice://cut/1\n");
  t.equal(line.cutsLeft(), 0);
  t.match(JSON.parse(await ok(["list", "cut", "--json"])), [{ version_number: 1, sha256: hex(big) }]);
  t.equal(readdirSync(join(sluice.dataDir, "archive", "incoming")).length, 0);
});

t.test("a pull goes on after the line was cut, and from what an earlier command has left", async (t) => {
  const line = await startLine("down", 5_000_000, 1);
  const output = join(dir, "cut.out");
  const big = readFileSync(join(dir, "big"));
  await ok(["pull", "cut", "-o", output], line.url);
  t.equal(line.cutsLeft(), 0);
  t.ok(readFileSync(output).equals(big));
  for (const left of [big.subarray(0, 1_000_000), randomBytes(1_000_000), Buffer.concat([big, big])]) {
    writeFileSync(`${output}.part`, left);
    await ok(["pull", "cut", "-o", output, "--force"]);
    t.ok(readFileSync(output).equals(big));
    t.notOk(existsSync(`${output}.part`));
  }
});

t.test("two pushes at once become two versions", async (t) => {
  const files = [1, 2].map((index) => fileOf(`two-${index}`, randomBytes(1_000_000)));
  const uris = await Promise.all(files.map((file) => ok(["push", "two", file, "--create"])));
  t.same(uris.sort(), ["sluice://two/1\n", "sluice://two/2\n"]);
});

t.test("verify names what is damaged, and ends with 1", async (t) => {
  const archive = join(sluice.dataDir, "archive");
  const args = ["registry", "verify", "--config", sluice.configFile, "--data-dir", sluice.dataDir];
  t.match(await runSluice(args), { code: 0, stderr: "" });
  const folder = readdirSync(archive).find((name) => name.endsWith("-two"))!;
  const file = join(archive, folder, readdirSync(join(archive, folder))[0]!);
  const { chmodSync } = await import("node:fs");
  chmodSync(file, 0o600);
  writeFileSync(file, Buffer.concat([Buffer.from("?"), readFileSync(file).subarray(1)]));
  const { code, stdout } = await runSluice(args);
  t.match({ code, stdout: stdout.toString() }, { code: 1, stdout: /^two 1 damaged\n$/ });
  const json = await runSluice([...args, "--json"]);
  t.match(JSON.parse(json.stdout.toString()), { model_id: "two", version_number: 1, problem: "damaged" });
  const pulled = await run(["pull", "two/1", "-o", join(dir, "damaged")]);
  t.match(pulled, { code: 1, stderr: /damaged|hash/ });
  t.notOk(existsSync(join(dir, "damaged")) || existsSync(join(dir, "damaged.part")));
});

t.test("what callers say of their versions is in no log", async (t) => {
  t.notOk(sluice.lines.some((line) => line.includes(CANARY)));
});
