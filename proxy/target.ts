/** Where a request goes, from its method and target alone. Pure: no table, no socket. */
import { SluiceError } from "../core/contract/errors.js";

export type OwnRoute = "livez" | "readyz" | "health" | "metrics";

export type Target =
  | { readonly to: "own"; readonly route: OwnRoute; readonly path: string }
  | SidecarTarget
  | ModelTarget
  | TaskTarget;

/** A request for the sidecar's own API. */
export interface SidecarTarget {
  readonly to: "sidecar";
  /** As the client wrote it. */
  readonly path: string;
  /** For metrics and logs: from a fixed set. */
  readonly template: string;
}

/** A request for a model server. */
export interface ModelTarget {
  readonly to: "model";
  readonly name: string;
  /** `/models/<name>` as the client wrote it; empty under an alias. */
  readonly prefix: string;
  /** Decoded path for the model server, with leading slash. */
  readonly path: string;
  /** The same as the client wrote it. */
  readonly rawPath: string;
}

/** `POST /models/<name>/tasks/<task>`. */
export interface TaskTarget {
  readonly to: "task";
  readonly name: string;
  readonly prefix: string;
  readonly task: string;
}

export interface RequestTarget {
  /** As the client wrote it, without query. */
  readonly rawPath: string;
  /** Percent-decoded once. */
  readonly path: string;
  /** With its question mark, or empty. */
  readonly query: string;
  /** From an absolute-form target: it stands in for Host. */
  readonly authority: string | null;
}

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)(.*)$/is;
/** Anything here needs the slow look; plain paths are the rule. */
const SUSPICIOUS = /[%\\]|\/\.{1,2}(?:\/|$)|\/\//;

/**
 * Splits a request target and refuses the ones two servers could read in two ways.
 * @throws BAD_PATH
 */
export function parseTarget(url: string): RequestTarget {
  let authority: string | null = null;
  let rest = url;
  if (url.charCodeAt(0) !== 47) {
    const absolute = ABSOLUTE_FORM.exec(url);
    if (absolute === null) throw badPath("the request target must begin with '/'");
    authority = absolute[1]!;
    if (authority === "" || authority.includes("@")) throw badPath("the request target names no usable host");
    rest = absolute[2]!.startsWith("/") ? absolute[2]! : `/${absolute[2]!}`;
  }
  if (rest.includes("#")) throw badPath("a request target has no fragment ('#')");
  const mark = rest.indexOf("?");
  const rawPath = mark === -1 ? rest : rest.slice(0, mark);
  const query = mark === -1 ? "" : rest.slice(mark);
  return { rawPath, query, authority, path: SUSPICIOUS.test(rawPath) ? decodePath(rawPath) : rawPath };
}

function decodePath(rawPath: string): string {
  if (/%2f/i.test(rawPath)) throw badPath("the path holds an encoded slash (%2F)");
  if (/%5c/i.test(rawPath) || rawPath.includes("\\")) throw badPath("the path holds a backslash");
  if (/%00/.test(rawPath)) throw badPath("the path holds an encoded NUL (%00)");
  let path: string;
  try {
    path = decodeURIComponent(rawPath);
  } catch {
    throw badPath("the path holds a percent sign that is not a valid encoding");
  }
  const segments = path.split("/");
  for (let index = 1; index < segments.length; index++) {
    const segment = segments[index];
    if (segment === "." || segment === "..") throw badPath(`the path holds a '${segment}' segment`);
    if (segment === "" && index < segments.length - 1) throw badPath("the path holds an empty segment ('//')");
  }
  return path;
}

function badPath(message: string): SluiceError {
  return new SluiceError("BAD_PATH", message);
}

const SIDECAR_AREAS = ["/tasks", "/admin", "/registry", "/docs", "/console"] as const;
const OWN: Readonly<Record<string, OwnRoute>> = {
  "/livez": "livez",
  "/livez/": "livez",
  "/readyz": "readyz",
  "/readyz/": "readyz",
  "/health": "health",
  "/health/": "health",
  "/metrics": "metrics",
  "/metrics/": "metrics",
};

/**
 * Resolves a target on the main port under no alias.
 * @throws NOT_FOUND for what neither a model nor Sluice has
 */
export function resolveMain(method: string, target: RequestTarget): Target {
  const { path } = target;
  if (path.startsWith("/models/")) return resolveModel(method, target);
  if (path === "/models") return { to: "sidecar", path: target.rawPath, template: "/models" };
  const own = OWN[path];
  if (own !== undefined) return { to: "own", route: own, path };
  return resolveSidecar(target);
}

function resolveSidecar(target: RequestTarget): Target {
  const { path, rawPath } = target;
  if (path === "/" || path === "/openapi.json" || path === "/openapi.json/")
    return { to: "sidecar", path: rawPath, template: path };
  for (const area of SIDECAR_AREAS) {
    if (!path.startsWith(area)) continue;
    if (path.length === area.length) return { to: "sidecar", path: rawPath, template: area };
    if (path.charCodeAt(area.length) === 47) return { to: "sidecar", path: rawPath, template: `${area}/*` };
  }
  throw new SluiceError("NOT_FOUND", "there is nothing at this path", {
    hint: "Model servers are under /models/<name>/…; GET /models lists them.",
  });
}

const TASK_PATH = /^\/tasks\/([^/]+)\/?$/;

function resolveModel(method: string, target: RequestTarget): Target {
  const { path, rawPath } = target;
  const slash = path.indexOf("/", 8);
  const name = slash === -1 ? path.slice(8) : path.slice(8, slash);
  if (name === "") return { to: "sidecar", path: rawPath, template: "/models" };
  const rest = slash === -1 ? "" : path.slice(slash);
  if (rest === "" || rest === "/") return { to: "sidecar", path: rawPath, template: "/models/*" };
  // A percent sign may stand for other bytes, never for a slash: the slashes of the raw path are those of the decoded one.
  const rawSlash = rawPath === path ? slash : rawPath.indexOf("/", 8);
  const prefix = rawPath.slice(0, rawSlash);
  if (rest === "/tasks" || rest.startsWith("/tasks/")) {
    const task = TASK_PATH.exec(rest);
    if (method === "POST" && task !== null) return { to: "task", name, prefix, task: task[1]! };
    return { to: "sidecar", path: rawPath, template: "/models/*/tasks/*" };
  }
  // CMG answers both slash forms of its own /info; a model server would redirect.
  if (rest === "/info/") return { to: "model", name, prefix, path: "/info", rawPath: "/info" };
  return { to: "model", name, prefix, path: rest, rawPath: rawPath.slice(rawSlash) };
}

/** Under an alias everything goes to its model, except `/tasks/<id>…`, where our own `Location` points. */
export function resolveAlias(model: string, target: RequestTarget): Target {
  const { path, rawPath } = target;
  if (path.startsWith("/tasks/") && path.length > 7) return { to: "sidecar", path: rawPath, template: "/tasks/*" };
  return { to: "model", name: model, prefix: "", path, rawPath };
}
