import { join } from "node:path";
import t from "tap";
import { COGMENT_VARIABLES } from "../../config/cogment.js";
import { REGISTRY_LOG_LEVELS, readProperties } from "../../config/sections/registry.js";
import { RELOADABLE, SETTINGS } from "../../config/settings.js";
import { loader } from "./loader.js";

t.test("every setting of Cogment's registry can be given by its own variable", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "registry: { port: 9010, cache_max_items: 7 }" });
  const { config, warnings } = load({
    env: {
      COGMENT_MODEL_REGISTRY_PORT: "9100",
      COGMENT_MODEL_REGISTRY_GRPC_REFLECTION: "T",
      COGMENT_MODEL_REGISTRY_ARCHIVE_DIR: "/srv/archive",
      COGMENT_MODEL_REGISTRY_VERSION_CACHE_MAX_ITEMS: "0x20",
      COGMENT_MODEL_REGISTRY_SENT_MODEL_VERSION_DATA_CHUNK_SIZE: "1_048_576",
      COGMENT_DIRECTORY_ENDPOINT: "grpc://directory:9005",
      COGMENT_DIRECTORY_AUTHENTICATION_TOKEN: "secret",
      COGMENT_MODEL_REGISTRY_DIRECTORY_REGISTRATION_HOST: "registry.example.org",
      COGMENT_MODEL_REGISTRY_DIRECTORY_REGISTRATION_PROPERTIES: "Sim=20,hpp,mem=HIGH",
      COGMENT_LOG_LEVEL: "5",
      COGMENT_LOG_FILE: "/var/log/registry.log",
      COGMENT_LOG_FORMAT: "text",
      COGMENT_DIRECTORY_PORT: "9005",
    },
  });
  t.match(config.registry, {
    port: 9100,
    grpc_reflection: true,
    archive_dir: "/srv/archive",
    cache_max_items: 32,
    sent_version_chunk_size: 2 ** 20,
    directory_endpoint: "grpc://directory:9005",
    directory_authentication_token: "secret",
    directory_registration_host: "registry.example.org",
    log_level: "trace",
    log_file: "/var/log/registry.log",
    log_format: "text",
  });
  t.same(config.registry.directory_registration_properties, { Sim: "20", hpp: "", mem: "HIGH" });
  t.notMatch(warnings.join(), /COGMENT/, "variables of Cogment's other services are theirs");
  const keys = SETTINGS.map(({ path }) => path.join("."));
  for (const path of COGMENT_VARIABLES.values()) t.ok(keys.includes(path), path);
});

t.test("an empty variable of Cogment's is not set, one of ours and a flag win over it", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "registry: { port: 9010 }" });
  const port = (env: Record<string, string>, flags = {}) => load({ env, flags }).config.registry.port;
  t.equal(port({ COGMENT_MODEL_REGISTRY_PORT: "" }), 9010);
  const both = { COGMENT_MODEL_REGISTRY_PORT: "9100", SLUICE_REGISTRY_PORT: "9200" };
  t.equal(port(both), 9200);
  t.equal(port(both, { "registry.port": "9300" }), 9300);
});

t.test("what the original would silently take for 0 or false is refused under its name", async (t) => {
  const { refuse } = loader(t, { "sluice.yaml": "" });
  const cases: [string, string, string][] = [
    ["COGMENT_MODEL_REGISTRY_PORT", "nine", "registry.port: must be a whole number, not 'nine'"],
    ["COGMENT_MODEL_REGISTRY_PORT", "0x1G", "registry.port: must be a whole number, not '0x1G'"],
    ["COGMENT_MODEL_REGISTRY_PORT", "65536", "registry.port: must be at most 65535, not 65536"],
    ["COGMENT_MODEL_REGISTRY_GRPC_REFLECTION", "maybe", "registry.grpc_reflection: must be true or false, not 'maybe'"],
    ["COGMENT_MODEL_REGISTRY_VERSION_CACHE_MAX_ITEMS", "0", "registry.cache_max_items: must be at least 1, not 0"],
    ["COGMENT_MODEL_REGISTRY_SENT_MODEL_VERSION_DATA_CHUNK_SIZE", "0", "must be at least 1 bytes"],
    ["COGMENT_LOG_LEVEL", "6", "registry.log_level: must be at most 5, not 6"],
    ["COGMENT_LOG_LEVEL", "warn", "0 to 5, not 'warn'"],
    ["COGMENT_DIRECTORY_ENDPOINT", "cogment://discover", "must be grpc://<host>:<port>, not 'cogment://discover'"],
    ["COGMENT_DIRECTORY_ENDPOINT", "grpc://host", "must be grpc://<host>:<port>"],
    ["COGMENT_DIRECTORY_ENDPOINT", "grpc://host:70000", "must be grpc://<host>:<port>, the port 1 to 65535"],
    ["COGMENT_DIRECTORY_ENDPOINT", "grpc://host:9005/path", "must be grpc://<host>:<port>"],
    ["COGMENT_MODEL_REGISTRY_DIRECTORY_REGISTRATION_HOST", "host:9002", "must be a host name or an address"],
    ["COGMENT_MODEL_REGISTRY_DIRECTORY_REGISTRATION_PROPERTIES", "a=1,=2", "has a property without a name"],
    ["COGMENT_MODEL_REGISTRY_DIRECTORY_REGISTRATION_PROPERTIES", 'a=1,"b', "has a quoted property that does not end"],
  ];
  for (const [name, value, told] of cases) {
    const text = refuse({ env: { [name]: value } }).format();
    t.ok(text.startsWith(`${name}  `) && text.includes(told), `${name}=${value}: ${text}`);
  }
  const masked = refuse({ env: { COGMENT_DIRECTORY_AUTHENTICATION_TOKEN: "hunter2\n" } }).format();
  t.match(masked, /must be printable ASCII/);
  t.notMatch(masked, /hunter2/, "a token is never repeated");
});

t.test("an unknown or old variable of the registry only warns", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "" });
  const { warnings } = load({
    env: { COGMENT_MODEL_REGISTRY_PROT: "1", COGMENT_MODEL_REGISTRY_VERSION_CACHE_MAX_SIZE: "1" },
  });
  t.match(warnings, [/did you mean COGMENT_MODEL_REGISTRY_PORT\?/, /MAX_SIZE is ignored/]);
});

t.test("log levels are words or their numbers, in YAML too", async (t) => {
  for (const [number, word] of REGISTRY_LOG_LEVELS.entries()) {
    for (const written of [word, String(number), `"${number}"`]) {
      const { load } = loader(t, { "sluice.yaml": `registry: { log_level: ${written} }` });
      t.equal(load().config.registry.log_level, word, written);
    }
  }
  t.equal(loader(t, { "sluice.yaml": "" }).load().config.registry.log_level, null);
});

t.test("properties: values are optional, blanks do not count, quotes hold a comma, a later one wins", async (t) => {
  const cases: [string, Record<string, string>][] = [
    ["", {}],
    ["a=1,b=2", { a: "1", b: "2" }],
    ["a=1,b", { a: "1", b: "" }],
    ["Sim=20,hpp,mem=HIGH", { Sim: "20", hpp: "", mem: "HIGH" }],
    ["hpp", { hpp: "" }],
    [" a = 1 , b ,", { a: "1", b: "" }],
    ["a=b=c", { a: "b=c" }],
    ['"tags=x,y",z="q"', { tags: "x,y", z: '"q"' }],
    ['"say=""hi""",b', { say: '"hi"', b: "" }],
    ["a=1,a=2", { a: "2" }],
  ];
  for (const [text, properties] of cases) t.same(readProperties(text), { properties, problem: null }, text);
});

t.test("an address others can reach is warned of, with or without a directory", async (t) => {
  const { load } = loader(t, { "sluice.yaml": "" });
  const warned = (flags: Record<string, unknown>) => load({ flags }).warnings.filter((each) => /registry/.test(each));
  t.same(warned({}), []);
  t.match(warned({ "registry.directory_endpoint": "grpc://d:1" }), [/registry\.host is ::: whoever reaches/]);
  t.same(warned({ "registry.directory_endpoint": "grpc://d:1", "registry.host": "127.0.0.1" }), []);
  t.match(warned({ "registry.sent_version_chunk_size": "4MiB" }), [/above 4 MiB/]);
});

t.test("paths of the registry start at the working directory, and what a running one takes over is said", async (t) => {
  const { cwd, load } = loader(t, { "sluice.yaml": "registry: { archive_dir: a, log_file: l/r.log }" });
  const { registry } = load().config;
  t.same([registry.archive_dir, registry.log_file], [join(cwd, "a"), join(cwd, "l/r.log")]);
  for (const key of ["log_level", "max_version_size", "sent_version_chunk_size"]) {
    t.ok(RELOADABLE.includes(`registry.${key}`), key);
  }
});
