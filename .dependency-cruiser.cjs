/** The house's arrows (ARCHITECTURE.md): checked on every `npm test`. */
const only = (library, paths) => ({
  name: `${library}-has-one-doorway`,
  comment: `${library} is imported by ${paths.join(", ")} alone, so that replacing it is one file's work.`,
  severity: "error",
  from: { path: "^(core|config|proxy|sidecar|cli)/", pathNot: paths.map((path) => `^${path}`) },
  to: { path: `(^|/)node_modules/${library}(/|$)` },
});

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "core-stands-alone",
      severity: "error",
      from: { path: "^core/" },
      to: { path: "^(config|proxy|sidecar|cli|examples|bench|test)/" },
    },
    {
      name: "config-knows-core-only",
      severity: "error",
      from: { path: "^config/" },
      to: { path: "^(proxy|sidecar|cli|examples|bench|test)/" },
    },
    {
      name: "proxy-meets-sidecar-on-the-wire",
      severity: "error",
      from: { path: "^proxy/" },
      to: { path: "^(sidecar|cli|examples|bench|test)/" },
    },
    {
      name: "sidecar-meets-proxy-on-the-wire",
      severity: "error",
      from: { path: "^sidecar/" },
      to: { path: "^(proxy|cli|examples|bench|test)/" },
    },
    {
      name: "nothing-reaches-into-cli",
      severity: "error",
      from: { path: "^(core|config|proxy|sidecar|examples)/" },
      to: { path: "^cli/" },
    },
    {
      name: "cli-enters-programs-by-their-main",
      severity: "error",
      from: { path: "^cli/" },
      to: {
        path: "^(proxy|sidecar)/",
        pathNot: "^(proxy/main|sidecar/main|sidecar/registry/(main|offline|verify))\\.ts$",
      },
    },
    {
      name: "the-example-is-a-stranger",
      severity: "error",
      from: { path: "^examples/" },
      to: { path: "^(core|config|proxy|sidecar|cli|bench|test)/" },
    },
    {
      name: "contracts-know-no-library",
      severity: "error",
      from: { path: "^core/contract/" },
      to: { path: "node_modules" },
    },
    {
      name: "no-undeclared-package",
      severity: "error",
      from: {},
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown", "unknown", "undetermined"] },
    },
    {
      name: "no-development-tool-in-the-product",
      comment: "What an installation leaves out is imported by tests and benchmarks alone.",
      severity: "error",
      from: { path: "^(core|config|proxy|sidecar|cli|examples)/" },
      to: { dependencyTypes: ["npm-dev"], pathNot: "(^|/)node_modules/@types/" },
    },
    only("undici", ["core/runtime/http\\.ts", "proxy/forward/http\\.ts", "sidecar/scheduler/run\\.ts"]),
    only("http-proxy-3", ["proxy/forward/websocket\\.ts"]),
    only("bottleneck", ["sidecar/scheduler/limiter-(entry|local|redis)\\.ts"]),
    only("redis", ["core/runtime/redis\\.ts"]),
    only("better-sqlite3", ["sidecar/db/"]),
    only("dockerode", ["sidecar/models/docker-client\\.ts"]),
    only("node-cron", ["sidecar/models/reaper-jobs\\.ts"]),
    only("fastify", ["sidecar/api/", "sidecar/app\\.ts"]),
    only("pino", ["core/runtime/logger\\.ts"]),
    only("prom-client", ["core/runtime/metrics\\.ts"]),
    only("yaml", ["config/yaml\\.ts", "sidecar/registry/cogment-info\\.ts"]),
    only("zod", ["config/", "sidecar/api/", "sidecar/models/drivers/process-record\\.ts"]),
    only("lru-cache", [
      "sidecar/tasks/verified-files\\.ts",
      "sidecar/scheduler/pace\\.ts",
      "sidecar/models/model-knowledge\\.ts",
    ]),
    only("commander", ["cli/"]),
    only("cli-progress", ["cli/"]),
    only("@grpc/(grpc-js|proto-loader|reflection)", [
      "sidecar/registry/grpc\\.ts",
      "sidecar/registry/grpc/",
      "sidecar/registry/directory\\.ts",
    ]),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^dist/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};
