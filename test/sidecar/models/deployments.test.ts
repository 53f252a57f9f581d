import t from "tap";
import { configSchema } from "../../../config/schema.js";
import type { SluiceError } from "../../../core/contract/errors.js";
import type { DeployRequest } from "../../../core/contract/model-management.js";
import { appliedTtl, type DeployRules, planDeployment } from "../../../sidecar/models/deployments.js";
import { checkModelName } from "../../../sidecar/models/model-name.js";
import { createPackages } from "../../../sidecar/models/packages.js";
import { createReferences } from "../../../sidecar/models/references.js";
import { deployRulesOf, onDemandSettingsOf } from "../../../sidecar/settings.js";

const RULES: DeployRules = {
  defaultTtlSeconds: 86_400,
  allowTtlOverride: true,
  maxTtlSeconds: 604_800,
  requireModelUriValidation: false,
};
const URI = { model_uri: "models:/m/1" };

function plan(name: string, given: Partial<DeployRequest>, rules: Partial<DeployRules> = {}) {
  return planDeployment(
    name,
    { tracking_id: null, model_uri: null, ttl: null, ...given },
    {
      rules: { ...RULES, ...rules },
      references: createReferences(null, createPackages(null)),
      isTaken: (each) => each === "running",
      now: () => 1_000,
    },
  );
}

t.test("what is deployed is planned whole", async (t) => {
  t.same(await plan("m", { model_uri: " models:/m/1 ", tracking_id: "r", ttl: 60 }), {
    name: "m",
    deploymentType: "manual",
    modelUri: "models:/m/1",
    modelType: null,
    trackingId: "r",
    ttlSeconds: 60,
    idleTtlSeconds: null,
    deploy: null,
    createdAtMs: 1_000,
  });
  t.match(await plan("m", { ...URI, tracking_id: "" }), { trackingId: null, ttlSeconds: 86_400 });
  t.match(await plan("m", { ...URI, ttl: -1 }), { ttlSeconds: null });
});

t.test("of several faults the first in CMG's order is told", async (t) => {
  const noReference = {};
  const run = { tracking_id: "r" };
  for (const [what, planned, status, words] of [
    ["the name before everything", plan("-bad", { ttl: 0 }), 400, /Invalid model name/],
    ["a missing reference", plan("running", { ...noReference, ttl: 0 }), 400, /model_uri.*tracking_id/],
    ["one that cannot be resolved", plan("running", { ...run, ttl: 0 }), 404, /run 'r'/],
    [
      "one that must be known and is not",
      plan("running", { ...URI, ttl: 0 }, { requireModelUriValidation: true }),
      404,
      /models:/,
    ],
    ["a running name", plan("running", { ...URI, ttl: 0 }, { allowTtlOverride: false }), 409, /already running/],
    ["a ttl that is not allowed", plan("m", { ...URI, ttl: 0 }, { allowTtlOverride: false }), 403, /86400/],
    ["a ttl that is too long", plan("m", { ...URI, ttl: 604_801 }), 400, /604800/],
    ["a ttl that ends at once", plan("m", { ...URI, ttl: 0 }), 422, /ttl 0/],
  ] as const) {
    await t.rejects(planned, { status, message: words }, what);
  }
});

t.test("a ttl is the default, the caller's own within the limits, or for ever", async (t) => {
  t.equal(appliedTtl(null, { ...RULES, defaultTtlSeconds: 999_999_999 }), 999_999_999, "the default has no maximum");
  t.equal(appliedTtl(604_800, RULES), 604_800);
  t.equal(appliedTtl(-1, RULES), -1, "for ever, whatever the maximum");
  t.equal(appliedTtl(1, RULES), 1);
  t.equal(appliedTtl(999_999_999, { ...RULES, maxTtlSeconds: null }), 999_999_999);
  t.throws(() => appliedTtl(1e300, { ...RULES, maxTtlSeconds: null }), { code: "TTL_TOO_LONG" });
  for (const ttl of [5, 86_400, -1, 0]) {
    t.throws(() => appliedTtl(ttl, { ...RULES, allowTtlOverride: false }), { code: "TTL_FORBIDDEN" }, String(ttl));
  }
  for (const ttl of [0, -2, -86_400]) {
    t.throws(() => appliedTtl(ttl, RULES), { code: "INVALID_PARAMETER" });
    try {
      appliedTtl(ttl, RULES);
    } catch (error) {
      t.match((error as SluiceError).detail, [{ loc: ["body", "ttl"], input: ttl, msg: /at once/ }]);
    }
  }
});

t.test("names hold 1 to 255 letters, digits, _ . -, and begin with a letter or digit", async (t) => {
  for (const name of ["x", "0", "ab", "A9", "a..b", "a-", "n".repeat(255)]) checkModelName(name);
  const bad = ["", "-a", ".a", "_a", "a b", "a$b", "a;b", "a'b", "é", "a\tb", "a\n", "a\r\n", "../a", "a/b", "--rm"];
  for (const name of bad) {
    t.throws(
      () => checkModelName(name),
      { code: "MODEL_NAME_INVALID", message: /^Invalid model name '[^\n]*'/ },
      JSON.stringify(name),
    );
  }
  for (const length of [256, 10_000]) {
    t.throws(() => checkModelName("n".repeat(length)), { message: /^Service name too long: \d+ characters/ });
  }
});

t.test("the rules are the configuration's, in whole seconds", async (t) => {
  const config = configSchema.parse({
    models: {
      deployment: {
        manual: {
          default_ttl: "90s",
          max_ttl: "1500ms",
          allow_ttl_override: false,
          require_model_uri_validation: true,
        },
        auto: { default_idle_ttl: 1, require_model_uri_validation: true },
      },
    },
  });
  t.same(deployRulesOf(config), {
    defaultTtlSeconds: 90,
    maxTtlSeconds: 2,
    allowTtlOverride: false,
    requireModelUriValidation: true,
  });
  t.same(onDemandSettingsOf(config), { defaultIdleTtlSeconds: 1, requireModelUriValidation: true });
  t.match(deployRulesOf(configSchema.parse({})), { defaultTtlSeconds: 86_400, maxTtlSeconds: null });
});
