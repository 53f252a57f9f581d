/** The examples of docs/webhooks.md verify what Sluice signs, and nothing else. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t from "tap";
import { PACKAGE_ROOT } from "../../config/files.js";
import { callbackKey } from "../../config/sections/upkeep.js";
import { webhookHeaders } from "../../sidecar/callbacks/signature.js";
import { requireOrSkip } from "../helpers/services.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY = '{"uuid":"0b0c","status":"succeeded"}';

function block(language: string): string {
  const page = readFileSync(join(PACKAGE_ROOT, "docs/webhooks.md"), "utf8");
  return new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "ms").exec(page)![1]!;
}

function signedAt(secondsAgo: number): Record<string, string> {
  const timestamp = Math.floor(Date.now() / 1_000) - secondsAgo;
  return webhookHeaders({ id: "0b0c", timestamp, body: BODY }, callbackKey(SECRET));
}

const { "webhook-signature": _signature, ...unsigned } = signedAt(0);
const CASES: readonly (readonly [Record<string, string>, string, boolean])[] = [
  [signedAt(0), BODY, true],
  [signedAt(0), `${BODY} `, false],
  [{ ...signedAt(0), "webhook-id": "0b0d" }, BODY, false],
  [signedAt(3_600), BODY, false],
  [unsigned, BODY, false],
];

t.test("the Node example", async (t) => {
  const file = join(t.testdir(), "verify.mjs");
  writeFileSync(file, block("js"));
  const { isFromSluice } = (await import(pathToFileURL(file).href)) as {
    isFromSluice(headers: Record<string, string>, body: string, secret: string): boolean;
  };
  for (const [headers, body, expected] of CASES) t.equal(isFromSluice(headers, body, SECRET), expected);
});

t.test("the Python example", async (t) => {
  const program = `import json, sys\n${block("python")}
for headers, body, expected in json.load(sys.stdin):
    print(is_from_sluice(headers, body.encode(), ${JSON.stringify(SECRET)}) == expected)\n`;
  const run = spawnSync("python3", ["-c", program], { input: JSON.stringify(CASES), encoding: "utf8" });
  if (!requireOrSkip(t, "python3", run.error === undefined ? null : "it is not installed")) return;
  t.same(
    run.stdout.trim().split("\n"),
    CASES.map(() => "True"),
    run.stderr,
  );
});
