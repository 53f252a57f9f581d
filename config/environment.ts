/** Settings from variables: any key as `SLUICE_` plus its path in capitals. Pure. */
import { type ConfigFault, faultAt, type Origin } from "./faults.js";
import { joinLayers, type Layer, layerOf, NO_LAYER } from "./layers.js";
import { nearest } from "./nearest.js";
import { type Node, SETTINGS, type Setting } from "./settings.js";
import { parseText } from "./yaml.js";

export type Environment = Readonly<Record<string, string | undefined>>;

/** The real environment over a `.env` file, with the origin each variable has. */
export interface Variables {
  readonly values: Environment;
  /** How a variable is named to its writer: `SLUICE_PROXY_PORT`, or `.env: SLUICE_PROXY_PORT`. */
  nameOf(variable: string): string;
}

const PREFIX = "SLUICE_";
/** Not settings: the file's name, marks for our own child processes, switches of tests and failpoints. */
const IGNORED = /^SLUICE_(CONFIG$|URL$|SUPERVISED$|MODEL_RUN$|TEST_|FAIL)/;
/** What Kubernetes writes into `<SERVICE>_PORT`: a Service called `sluice-proxy` would set SLUICE_PROXY_PORT. */
const KUBERNETES_PORT = /^(tcp|udp|sctp):\/\//;

const BY_VARIABLE: ReadonlyMap<string, Setting> = new Map(
  SETTINGS.flatMap((setting) => (setting.env === null ? [] : [[setting.env, setting] as const])),
);

export function mergeVariables(real: Environment, dotenv: Environment, dotenvName: string): Variables {
  return {
    values: { ...dotenv, ...Object.fromEntries(Object.entries(real).filter(([, value]) => value !== undefined)) },
    nameOf: (variable) => (real[variable] === undefined ? `${dotenvName}: ${variable}` : variable),
  };
}

/** Everything our own variables say. Unknown ones only warn: Kubernetes sets `SLUICE_SERVICE_HOST` and the like by itself. */
export function readEnvironment(variables: Variables): Layer {
  const names = Object.keys(variables.values).filter((name) => name.startsWith(PREFIX) && !IGNORED.test(name));
  // Sections before their keys, so that the closer name wins.
  names.sort((a, b) => (BY_VARIABLE.get(a)?.path.length ?? 0) - (BY_VARIABLE.get(b)?.path.length ?? 0));
  return joinLayers(names.map((name) => readVariable(name, variables)));
}

function readVariable(name: string, variables: Variables): Layer {
  const text = variables.values[name]!;
  const shown = variables.nameOf(name);
  const setting = BY_VARIABLE.get(name);
  if (setting === undefined) {
    const near = nearest(name, BY_VARIABLE.keys());
    return warning(`${shown} is not a setting${near === undefined ? "" : `; did you mean ${near}?`}`);
  }
  if (setting.node.kind === "number" && KUBERNETES_PORT.test(text)) {
    return warning(`${shown} is ignored: its value is an address that Kubernetes sets for a Service`);
  }
  return layerOfText(setting, text, { source: "env", where: shown });
}

const warning = (text: string): Layer => ({ ...NO_LAYER, warnings: [text] });

/** One setting given as text, by a variable or a flag. */
export function layerOfText(setting: Setting, text: string, origin: Origin): Layer {
  const value = valueOfText(setting.node, text);
  if (value instanceof TextFault) {
    const fault: ConfigFault = faultAt(setting.path, origin, value.message);
    return { ...NO_LAYER, faults: [fault] };
  }
  return layerOf(value, () => origin, setting.path);
}

class TextFault {
  constructor(readonly message: string) {}
}

const TRUE = ["true", "yes", "on", "1"];
const FALSE = ["false", "no", "off", "0"];
const NUMBER = /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i;

/** `null` (the word) is no value where there may be none; lists, maps and sections are JSON or YAML. */
function valueOfText(node: Node, text: string): unknown {
  const trimmed = text.trim();
  if (node.nullable && trimmed === "null") return null;
  switch (node.kind) {
    case "section":
    case "list":
    case "map":
      return structureOfText(trimmed);
    case "number":
      return NUMBER.test(trimmed) ? Number(trimmed) : text;
    case "boolean":
      return booleanOfText(trimmed) ?? text;
    case "mixed":
      if (node.takesNumber) return NUMBER.test(trimmed) ? Number(trimmed) : trimmed;
      return booleanOfText(trimmed) ?? trimmed;
    case "duration":
    case "size":
      return NUMBER.test(trimmed) ? Number(trimmed) : trimmed;
    case "choice":
      return trimmed;
    case "text":
      return text;
  }
}

function booleanOfText(text: string): boolean | undefined {
  const word = text.toLowerCase();
  return TRUE.includes(word) ? true : FALSE.includes(word) ? false : undefined;
}

function structureOfText(text: string): unknown {
  if (text === "") return new TextFault("must be JSON or YAML text, but it is empty");
  const { value, problems } = parseText(text);
  const first = problems[0];
  if (first === undefined) return value;
  return new TextFault(`is not valid JSON or YAML text (line ${first.line}, column ${first.column}): ${first.message}`);
}
