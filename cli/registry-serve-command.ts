/** `sluice registry serve`: its flags, which are those of Cogment's model registry and a few more. */
import { type Command, Option } from "commander";

/** As typed; what they may hold is the configuration's to say. `port` and `host` are the registry's. */
export interface RegistryServeFlags {
  readonly config?: string;
  readonly dataDir?: string;
  readonly [key: string]: string | number | boolean | readonly string[] | undefined;
}

export interface RegistryServeActions {
  serveRegistry(flags: RegistryServeFlags): Promise<void>;
}

/** Keys of `registry` in the configuration, each of them a flag of the same name. */
export const REGISTRY_FLAGS = {
  host: ["<address>", "address to listen on (default: loopback, or all with a --directory_endpoint)"],
  port: ["<n>", "gRPC port; 0 takes a free one (default: 9002)"],
  grpc_reflection: ["[bool]", "offer gRPC reflection"],
  archive_dir: ["<folder>", "folder of the archived versions; alone it holds the database too"],
  cache_max_items: ["<n>", "transient versions kept, over all models (default: 100)"],
  cache_max_bytes: ["<size>", "bytes of transient versions kept in memory (default: 1GiB)"],
  sent_version_chunk_size: ["<size>", "bytes per chunk sent (default: 2MiB)"],
  max_version_size: ["<size>", "largest version accepted (default: any)"],
  log_level: ["<level>", "off, error, warning, info, debug, trace or their number, 0 to 5 (default: info)"],
  log_file: ["<file>", "log to <name>_<YYYY-MM-DD><ext>, a file per day (default: standard output)"],
  log_format: ["<format>", "json or text"],
  directory_endpoint: ["<url>", "Cogment directory to register with: grpc://<host>:<port>"],
  directory_authentication_token: ["<token>", "token for the directory; better given by its variable"],
  directory_registration_host: ["<host>", "host to register (default: this machine's own address)"],
  directory_registration_properties: ["<list>", "properties to register: name=value,name,…; repeatable"],
} as const;

const EXAMPLES = `
Examples:
  sluice registry serve --archive_dir /srv/models
  sluice registry serve --port 0 --log_level debug --log_file /var/log/registry.log
  sluice registry serve --directory_endpoint grpc://directory:9005 --directory_registration_properties Sim=20,hpp

The registry alone, on gRPC; under 'sluice serve' it answers HTTP too.
Each flag is a key of 'registry' in the configuration and has a variable: docs/registry.md.`;

/** @param program which may have the command `registry` already */
export function addRegistryServe(program: Command, actions: RegistryServeActions): void {
  const registry =
    program.commands.find((each) => each.name() === "registry") ??
    program.command("registry").description("the model registry");
  const command = registry
    .command("serve")
    .description("run the model registry alone")
    .option("-c, --config <file>", "configuration file (default: SLUICE_CONFIG, then Sluice's own)")
    .option("--data-dir <folder>", "data folder");
  for (const [name, [value, description]] of Object.entries(REGISTRY_FLAGS)) {
    const option = new Option(`--${name} ${value}`, description);
    if (name === "directory_registration_properties") option.argParser(collectList);
    command.addOption(option);
  }
  command.addHelpText("after", EXAMPLES).action((flags: RegistryServeFlags) => actions.serveRegistry(flags));
}

function collectList(text: string, before: string | undefined): string {
  return before === undefined ? text : `${before},${text}`;
}
