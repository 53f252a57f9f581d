/** CogStack Model Gateway's configuration: its JSON file and its `CMG_*` variables (reference cmg-api section 4). Pure but for the file. */
import { resolve } from "node:path";
import { layerOfText, type Variables } from "./environment.js";
import { faultAt, type Origin } from "./faults.js";
import { named, readTextFile } from "./files.js";
import { isMapping, joinLayers, type Layer, layerOf, NO_LAYER } from "./layers.js";
import { nearest } from "./nearest.js";
import { nodeAt, SETTINGS } from "./settings.js";
import { parseText } from "./yaml.js";

/** The only keys CMG reads from its file; it ignores all others. */
const FILE_SECTIONS = ["cms", "models", "labels", "tracking"];

/** What CMG takes for `cms.host_url` when its file does not say. */
const CMG_HOST_URL = "https://proxy/cms";

export interface CmgFile {
  readonly path: string | null;
  readonly layer: Layer;
}

/** The file that `CONFIG_FILE` names. */
export function cmgFileOf({ values }: Variables, cwd: string): string | null {
  const name = named(values.CONFIG_FILE);
  return name === undefined ? null : resolve(cwd, name);
}

/** @param display how a path is shown to the operator */
export function readCmgFile(path: string | null, display: (path: string) => string): CmgFile {
  if (path === null) return { path: null, layer: NO_LAYER };
  const shown = display(path);
  const read = readTextFile(path);
  if ("text" in read) return { path, layer: layerOfCmgText(read.text, shown) };
  if (read.missing) {
    return {
      path: null,
      layer: { ...NO_LAYER, warnings: [`CONFIG_FILE: ${shown} does not exist; defaults are used`] },
    };
  }
  const origin: Origin = { source: "env", where: "CONFIG_FILE" };
  return { path: null, layer: { ...NO_LAYER, faults: [faultAt([], origin, `${shown} ${read.problem}`)] } };
}

/** CMG's JSON, with comments and trailing commas. What it would ignore is ignored here too, with a warning. */
function layerOfCmgText(text: string, shown: string): Layer {
  const parsed = parseText(blankComments(text));
  const origin = (line: number | undefined, column?: number): Origin => ({
    source: "file",
    where: [shown, line, column].filter((part) => part !== undefined).join(":"),
    ...(line === undefined ? {} : { line }),
  });
  if (parsed.problems.length > 0) {
    const faults = parsed.problems.map((each) => faultAt([], origin(each.line, each.column), each.message));
    return { ...NO_LAYER, faults };
  }
  const value = parsed.value ?? {};
  if (!isMapping(value)) return { ...NO_LAYER, faults: [faultAt([], origin(1), "must be a JSON object", { value })] };
  const ignored: string[] = [];
  const known = dropUnknown(value, [], ignored);
  const layer = layerOf(known, (path) => origin(parsed.locate(path)?.line));
  const warnings =
    ignored.length === 0 ? [] : [`${shown}: ignored, as CogStack Model Gateway does: ${ignored.join(", ")}`];
  return joinLayers([hostUrlOf(known, origin(undefined), shown), { ...layer, warnings }]);
}

/** Leaving `cms.host_url` out means CMG's own proxy; direct access is the empty text. */
function hostUrlOf(known: Record<string, unknown>, origin: Origin, shown: string): Layer {
  const cms = known.cms;
  if (isMapping(cms) && Object.hasOwn(cms, "host_url")) return NO_LAYER;
  return {
    entries: [{ path: ["cms", "host_url"], value: CMG_HOST_URL, originOf: () => origin }],
    faults: [],
    warnings: [
      `${shown} leaves cms.host_url out, which means ${CMG_HOST_URL} there; set it to "" to reach model servers directly`,
    ],
  };
}

function dropUnknown(
  value: Record<string, unknown>,
  at: readonly string[],
  ignored: string[],
): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(value)) {
    const path = [...at, key];
    const node = nodeAt(path);
    if (node === undefined || key === "__proto__" || (at.length === 0 && !FILE_SECTIONS.includes(key))) {
      ignored.push(path.join("."));
    } else {
      kept[key] = node.kind === "section" && isMapping(child) ? dropUnknown(child, path, ignored) : child;
    }
  }
  return kept;
}

/** Comments, and commas before a closing bracket, become blanks, so that lines and columns stay true. */
function blankComments(text: string): string {
  const blank = (found: string) => found.replace(/[^\n]/g, " ");
  const strings = /"(?:[^"\\\n]|\\.)*"?/;
  const comments = /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/;
  const either = new RegExp(`(${strings.source})|${comments.source}`, "g");
  const bare = text.replace(either, (found, string) => (string === undefined ? blank(found) : found));
  const trailing = new RegExp(`(${strings.source})|,(?=\\s*[}\\]])|\\t`, "g");
  return bare.replace(trailing, (found, string) => (string === undefined ? " " : found));
}

/** What has a meaning here, least telling first: a later one wins. */
const MAPPED: readonly (readonly [variable: string, path: string])[] = [
  ["CMG_SCHEDULER_MAX_CONCURRENT_TASKS", "scheduler.max_concurrent_tasks"],
  ["CMG_RIPPER_INTERVAL", "ripper.interval"],
  ["CMG_HOST_PORT", "proxy.port"],
  ["CMG_RIPPER_LOG_LEVEL", "log.level"],
  ["CMG_SCHEDULER_LOG_LEVEL", "log.level"],
  ["CMG_COMMON_LOG_LEVEL", "log.level"],
  ["CMG_GATEWAY_LOG_LEVEL", "log.level"],
];

/** CMG's services that Sluice does without, and what only its compose file or its three metrics ports need. */
const NOT_NEEDED =
  /^CMG_(DB|OBJECT_STORE|QUEUE)_|^CMG_(SCHEDULER|RIPPER)_METRICS_PORT$|^CMG_(IMAGE_TAG|COMMIT_SHA|NO_PROXY_EXT)$/;

const LEVELS: Readonly<Record<string, string>> = {
  CRITICAL: "fatal",
  FATAL: "fatal",
  ERROR: "error",
  WARNING: "warn",
  WARN: "warn",
  INFO: "info",
  DEBUG: "debug",
  NOTSET: "trace",
};

/** The `CMG_*` variables. */
export function readCmgVariables(variables: Variables): Layer {
  const names = Object.keys(variables.values).filter((name) => name.startsWith("CMG_"));
  const layers = MAPPED.filter(([name]) => names.includes(name)).map(([name, path]) =>
    mapVariable(name, path, variables),
  );
  const unneeded = names.filter((name) => NOT_NEEDED.test(name));
  const known = MAPPED.map(([name]) => name);
  const unknown = names.filter((name) => !known.includes(name) && !NOT_NEEDED.test(name));
  const warnings = [
    ...(unneeded.length === 0 ? [] : [`not needed: ${unneeded.sort().join(", ")}`]),
    ...unknown.map((name) => {
      const near = nearest(name, known);
      return `${variables.nameOf(name)} is not a setting${near === undefined ? "" : `; did you mean ${near}?`}`;
    }),
  ];
  return joinLayers([...layers, { ...NO_LAYER, warnings }]);
}

/** Docker's own variable, as CMG's Docker library reads it; below every file. Only a Unix socket has a meaning here. */
export function readDockerHost(variables: Variables): Layer {
  const host = named(variables.values.DOCKER_HOST);
  if (host === undefined) return NO_LAYER;
  const origin: Origin = { source: "env", where: variables.nameOf("DOCKER_HOST") };
  const socket = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
  if (socket !== undefined) return layerOf(socket, () => origin, ["discovery", "docker", "socket"]);
  return { ...NO_LAYER, warnings: [`${origin.where} is ignored: only unix:///path is understood`] };
}

function mapVariable(name: string, path: string, variables: Variables): Layer {
  const setting = SETTINGS.find((each) => each.path.join(".") === path)!;
  const text = variables.values[name]!;
  const value = path === "log.level" ? (LEVELS[text.trim().toUpperCase()] ?? text) : text;
  return layerOfText(setting, value, { source: "env", where: variables.nameOf(name) });
}
