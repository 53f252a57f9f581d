/**
 * The variables of Cogment's model registry (reference cogment-registry section 4.1), beside `SLUICE_REGISTRY_*`, which win. Pure.
 *
 * An empty one counts as not set. What cannot be read is refused, where the original silently takes 0.
 */
import { layerOfText, type Variables } from "./environment.js";
import { named } from "./files.js";
import { joinLayers, type Layer, NO_LAYER } from "./layers.js";
import { nearest } from "./nearest.js";
import { SETTINGS } from "./settings.js";

/** Each variable and the setting it means. */
export const COGMENT_VARIABLES: ReadonlyMap<string, string> = new Map([
  ["COGMENT_MODEL_REGISTRY_PORT", "registry.port"],
  ["COGMENT_MODEL_REGISTRY_GRPC_REFLECTION", "registry.grpc_reflection"],
  ["COGMENT_MODEL_REGISTRY_ARCHIVE_DIR", "registry.archive_dir"],
  ["COGMENT_MODEL_REGISTRY_VERSION_CACHE_MAX_ITEMS", "registry.cache_max_items"],
  ["COGMENT_MODEL_REGISTRY_SENT_MODEL_VERSION_DATA_CHUNK_SIZE", "registry.sent_version_chunk_size"],
  ["COGMENT_DIRECTORY_ENDPOINT", "registry.directory_endpoint"],
  ["COGMENT_DIRECTORY_AUTHENTICATION_TOKEN", "registry.directory_authentication_token"],
  ["COGMENT_MODEL_REGISTRY_DIRECTORY_REGISTRATION_HOST", "registry.directory_registration_host"],
  ["COGMENT_MODEL_REGISTRY_DIRECTORY_REGISTRATION_PROPERTIES", "registry.directory_registration_properties"],
  ["COGMENT_LOG_LEVEL", "registry.log_level"],
  ["COGMENT_LOG_FILE", "registry.log_file"],
  ["COGMENT_LOG_FORMAT", "registry.log_format"],
]);

/** Of versions before 0.6.0; the original ignores them too. */
const DEPRECATED = /^COGMENT_MODEL_REGISTRY_VERSION_CACHE_(MAX_SIZE|EXPIRATION|PRUNE_COUNT)$/;
/** Others begin with COGMENT_ and belong to Cogment's other services. */
const OURS = /^COGMENT_MODEL_REGISTRY_/;

export function readCogmentVariables(variables: Variables): Layer {
  const names = Object.keys(variables.values).filter((name) => named(variables.values[name]) !== undefined);
  const known = names.filter((name) => COGMENT_VARIABLES.has(name));
  const layers = known.map((name) => readVariable(name, COGMENT_VARIABLES.get(name)!, variables));
  const others = names.filter((name) => OURS.test(name) && !COGMENT_VARIABLES.has(name));
  const warnings = others.map((name) => {
    if (DEPRECATED.test(name)) return `${variables.nameOf(name)} is ignored: set cache_max_items or cache_max_bytes`;
    const near = nearest(name, COGMENT_VARIABLES.keys());
    return `${variables.nameOf(name)} is not a setting${near === undefined ? "" : `; did you mean ${near}?`}`;
  });
  return joinLayers([...layers, { ...NO_LAYER, warnings }]);
}

function readVariable(name: string, path: string, variables: Variables): Layer {
  const setting = SETTINGS.find((each) => each.path.join(".") === path)!;
  const text = variables.values[name]!;
  const { kind } = setting.node;
  const plain =
    kind === "number" || kind === "size" ? plainNumber(text) : kind === "boolean" ? plainBoolean(text) : text;
  return layerOfText(setting, plain, { source: "env", where: variables.nameOf(name) });
}

const RADIX: readonly (readonly [prefix: RegExp, radix: number])[] = [
  [/^0x/i, 16],
  [/^0b/i, 2],
  [/^0o/i, 8],
  [/^0(?=[0-7])/, 8],
];

/** `0x1F`, `0o17`, `017` and `1_000` as Cogment reads them; anything else stays as it is. */
function plainNumber(text: string): string {
  const trimmed = text.trim().replace(/(?<=[\da-fA-F])_(?=[\da-fA-F])/g, "");
  for (const [prefix, radix] of RADIX) {
    if (!prefix.test(trimmed)) continue;
    const digits = trimmed.replace(prefix, "");
    const value = Number.parseInt(digits, radix);
    return value.toString(radix) === digits.toLowerCase().replace(/^0+(?=.)/, "") ? String(value) : text;
  }
  return /^\d+$/.test(trimmed) ? trimmed : text;
}

/** Cogment takes single letters too. */
function plainBoolean(text: string): string {
  if (/^t$/i.test(text.trim())) return "true";
  return /^f$/i.test(text.trim()) ? "false" : text;
}
