import t from "tap";
import type { SluiceError } from "../../core/contract/errors.js";
import { parseTarget, resolveAlias, resolveMain } from "../../proxy/target.js";

const codeOf = (url: string) => {
  try {
    parseTarget(url);
    return "accepted";
  } catch (error) {
    return (error as SluiceError).code;
  }
};

t.test("targets that two servers could read in two ways are refused", async (t) => {
  for (const url of [
    "/models/m/../admin",
    "/models/m/..",
    "/models/m/./x",
    "/models/m/%2e%2e/admin",
    "/models/m/%2E/x",
    "/models/m/.%2e/x",
    "/models/m%2fx",
    "/models/m/%2Fetc",
    "/models/m/a%5cb",
    "/models/m/a\\b",
    "/models/m/%00",
    "/models//m/x",
    "//models/m/x",
    "/models/m/x//",
    "/models/m/%zz",
    "/models/m/%",
    "/models/m/%ff",
    "/models/m/x#y",
    "models/m/x",
    "ftp://h/x",
    "http:///x",
    "http://user@h/x",
  ]) {
    t.equal(codeOf(url), "BAD_PATH", url);
  }
  for (const url of [
    "/models/m/a..b",
    "/models/m/.well-known",
    "/models/m/...",
    "/models/m/x/",
    "/models/m/x?y=//../%2f",
    "/%25",
  ]) {
    t.equal(codeOf(url), "accepted", url);
  }
});

t.test("an absolute-form target loses scheme and authority, and its authority is the host", async (t) => {
  t.same(parseTarget("HTTP://Gate:81/models/m/x?y"), {
    rawPath: "/models/m/x",
    path: "/models/m/x",
    query: "?y",
    authority: "Gate:81",
  });
  t.match(parseTarget("http://gate"), { rawPath: "/", query: "" });
  t.match(parseTarget("http://gate?q"), { rawPath: "/", query: "?q" });
});

t.test("each path goes to its owner", async (t) => {
  const to = (method: string, url: string) => {
    try {
      const target = resolveMain(method, parseTarget(url));
      return target.to === "model" ? `model ${target.name} ${target.rawPath} ${target.prefix}` : target.to;
    } catch (error) {
      return (error as SluiceError).code;
    }
  };
  for (const [method, url, owner] of [
    ["GET", "/livez", "own"],
    ["GET", "/readyz/", "own"],
    ["GET", "/health", "own"],
    ["GET", "/metrics/", "own"],
    ["GET", "/", "sidecar"],
    ["GET", "/models", "sidecar"],
    ["GET", "/models/", "sidecar"],
    ["GET", "/models/m", "sidecar"],
    ["POST", "/models/m/", "sidecar"],
    ["POST", "/models/m/tasks/process", "task"],
    ["POST", "/models/m/tasks/process/", "task"],
    ["GET", "/models/m/tasks/process", "sidecar"],
    ["GET", "/models/m/tasks", "sidecar"],
    ["GET", "/tasks", "sidecar"],
    ["GET", "/tasks/1/events", "sidecar"],
    ["GET", "/admin/x", "sidecar"],
    ["GET", "/registry/x", "sidecar"],
    ["GET", "/docs", "sidecar"],
    ["GET", "/console/x", "sidecar"],
    ["GET", "/openapi.json", "sidecar"],
    ["GET", "/internal/routes", "NOT_FOUND"],
    ["GET", "/tasksx", "NOT_FOUND"],
    ["GET", "/modelsx", "NOT_FOUND"],
    ["GET", "/models/m/info", "model m /info /models/m"],
    ["GET", "/models/m/info/", "model m /info /models/m"],
    ["GET", "/models/m/docs/", "model m /docs/ /models/m"],
    ["GET", "/models/m%2Dx/a%20b", "model m-x /a%20b /models/m%2Dx"],
    ["POST", "/models/m/taskss", "model m /taskss /models/m"],
  ] as const) {
    t.equal(to(method, url), owner, `${method} ${url}`);
  }
});

t.test("under an alias everything is the model's, except where our own Location points", async (t) => {
  t.match(resolveAlias("m", parseTarget("/models/x/y")), {
    to: "model",
    name: "m",
    rawPath: "/models/x/y",
    prefix: "",
  });
  t.match(resolveAlias("m", parseTarget("/metrics")), { to: "model" });
  t.match(resolveAlias("m", parseTarget("/tasks/1?detail=true")), { to: "sidecar" });
  t.match(resolveAlias("m", parseTarget("/tasks/")), { to: "model" });
});
