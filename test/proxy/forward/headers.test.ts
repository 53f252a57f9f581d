import t from "tap";
import { requestHead, responseHead, rewriteCookie, rewriteLocation } from "../../../proxy/forward/headers.js";

const at = { prefix: "/models/m", host: "gate:8888", upstreamHost: "10.0.0.2:8000", basePath: "" };

t.test("Location points at the gateway, below the prefix, unless it is there already or somewhere else", async (t) => {
  for (const [from, to] of [
    ["http://gate:8888/docs", "/models/m/docs"],
    ["https://GATE:8888/docs?x#y", "/models/m/docs?x#y"],
    ["http://10.0.0.2:8000/ollama/", "/models/m/ollama/"],
    ["//10.0.0.2:8000/x", "/models/m/x"],
    ["http://gate:8888", "/models/m/"],
    ["http://gate:8888/models/m/docs", "/models/m/docs"],
    ["/docs", "/models/m/docs"],
    ["/", "/models/m/"],
    ["/models/m", "/models/m"],
    ["/models/m/docs", "/models/m/docs"],
    ["/models/mx", "/models/m/models/mx"],
    ["docs", "docs"],
    ["../x", "../x"],
    ["?q", "?q"],
    ["http://elsewhere/docs", "http://elsewhere/docs"],
    ["http://gate:8888//evil/x", "http://gate:8888//evil/x"],
  ]) {
    t.equal(rewriteLocation(from!, at), to, from!);
  }
  t.equal(
    rewriteLocation("http://10.0.0.2:8000/docs", { ...at, prefix: "" }),
    "/docs",
    "under an alias the path alone",
  );
  t.equal(rewriteLocation("/docs", { ...at, prefix: "" }), "/docs");
  t.equal(rewriteLocation("/base/docs", { ...at, basePath: "/base" }), "/models/m/docs");
});

t.test("a cookie's Path moves below the prefix, so that model servers keep out of each other's way", async (t) => {
  const cookie = "fastapiusersauth=abc; HttpOnly; Max-Age=3600; Path=/; SameSite=lax; Secure";
  t.equal(rewriteCookie(cookie, "/models/m"), cookie.replace("Path=/", "Path=/models/m/"));
  t.equal(rewriteCookie("a=1;path = /x", "/models/m"), "a=1;path = /models/m/x");
  t.equal(rewriteCookie("a=1; Path=/models/m/x", "/models/m"), "a=1; Path=/models/m/x");
  t.equal(rewriteCookie("a=path=/; Secure", "/models/m"), "a=path=/; Secure");
  t.equal(rewriteCookie(cookie, ""), cookie);
});

t.test(
  "fields named by Connection go, framing cannot be talked away, two hosts and odd codings are refused",
  async (t) => {
    const options = { peer: "p", authority: null, prefix: "", requestId: "r", keep: "none" } as const;
    const { headers } = requestHead(
      ["Host", "h", "Connection", "X-A, content-length", "x-a", "1", "Content-Length", "5"],
      options,
    );
    t.notOk(headers.includes("x-a"));
    t.ok(headers.includes("Content-Length"));
    t.throws(() => requestHead(["Host", "a", "host", "b"], options), { code: "BAD_REQUEST" });
    t.throws(() => requestHead(["Host", "a", "Transfer-Encoding", "gzip, chunked"], options), { code: "BAD_REQUEST" });
    t.equal(requestHead(["Host", "a"], { ...options, authority: "b" }).host, "b");
  },
);

t.test("an answer's hop-by-hop fields and the model server's request id go, Server-Timing stays", async (t) => {
  const raw = [
    "connection",
    "keep-alive, X-B",
    "Keep-Alive",
    "timeout=5",
    "X-B",
    "1",
    "X-Request-Id",
    "theirs",
    "Server-Timing",
    "db;dur=1",
  ];
  const head = responseHead(
    raw.map((each) => Buffer.from(each)),
    at,
  );
  t.same(head.headers, ["Server-Timing", "db;dur=1"]);
  const coded = ["transfer-encoding", "gzip, chunked"].map((each) => Buffer.from(each));
  t.throws(() => responseHead(coded, at), { code: "UPSTREAM_PROTOCOL" });
});

t.test("what is said to Sluice alone never reaches a model server", async (t) => {
  const raw = [
    "Host",
    "gate:8888",
    "Sluice-Callback",
    "https://h.example.org/?token=x",
    "X-Sluice-Priority",
    "1",
    "A",
    "b",
  ];
  const common = { peer: "10.0.0.9", authority: null, prefix: "", requestId: "r" };
  for (const keep of ["none", "prefer"] as const) {
    const { headers } = requestHead(raw, { ...common, keep });
    t.notOk(
      headers.some((each) => /sluice|token/i.test(each)),
      keep,
    );
    t.ok(headers.includes("A"));
  }
});
