import t from "tap";
import { configSchema } from "../../../config/schema.js";
import {
  parseCallback,
  parseDeadline,
  parseIdempotencyKey,
  parsePrefer,
  parsePriority,
  parseTenant,
} from "../../../proxy/admit/preferences.js";

t.test("Prefer says how a caller is answered", async (t) => {
  t.same(parsePrefer(undefined), { mode: "held", waitMs: null, applied: null });
  t.same(parsePrefer("wait=30"), { mode: "wait", waitMs: 30_000, applied: "wait=30" });
  t.same(parsePrefer("respond-async"), { mode: "async", waitMs: 0, applied: "respond-async" });
  t.same(parsePrefer("respond-async, wait=10"), { mode: "wait", waitMs: 10_000, applied: "respond-async, wait=10" });
  t.same(parsePrefer("Wait = 5"), { mode: "wait", waitMs: 5_000, applied: "wait=5" });
  t.same(parsePrefer('wait="5"; foo=bar'), { mode: "wait", waitMs: 5_000, applied: "wait=5" });
  t.same(
    parsePrefer("wait=5, wait=99"),
    { mode: "wait", waitMs: 5_000, applied: "wait=5" },
    "the first of several wins",
  );
  t.equal(parsePrefer("wait=0").mode, "async");
});

t.test("preferences we do not know are ignored", async (t) => {
  t.equal(parsePrefer('return=minimal, foo="a, wait=3", handling=lenient').mode, "held");
  t.equal(parsePrefer("").mode, "held");
});

t.test("a malformed wait is refused, whatever else is there", async (t) => {
  for (const prefer of [
    "wait",
    "wait=",
    "wait=abc",
    "wait=-1",
    "wait=1.5",
    "wait=1e3",
    "wait=99999999999",
    "respond-async, wait=x",
  ]) {
    t.throws(() => parsePrefer(prefer), { code: "INVALID_PREFER" }, prefer);
  }
});

t.test("priority, deadline, tenant and idempotency key are taken or refused, never guessed", async (t) => {
  t.same([parsePriority(undefined), parsePriority("0"), parsePriority("9")], [null, 0, 9]);
  for (const bad of ["10", "-1", "", "high", "1.0"])
    t.throws(() => parsePriority(bad), { code: "INVALID_HEADER" }, bad);
  t.same(
    [
      parseDeadline(undefined),
      parseDeadline("90"),
      parseDeadline("90s"),
      parseDeadline("250ms"),
      parseDeadline("1.5m"),
    ],
    [null, 90_000, 90_000, 250, 90_000],
  );
  for (const bad of ["0", "soon", "-5", "5y", "", "999999999d"])
    t.throws(() => parseDeadline(bad), { code: "INVALID_HEADER" }, bad);
  t.same([parseTenant(undefined), parseTenant("ward-7@trust.org")], [null, "ward-7@trust.org"]);
  for (const bad of ["", "a b", "x".repeat(65), "ü"]) t.throws(() => parseTenant(bad), { code: "INVALID_HEADER" }, bad);
  t.same([parseIdempotencyKey(undefined), parseIdempotencyKey("k-1")], [null, "k-1"]);
  for (const bad of ["", "a b", "x".repeat(256)])
    t.throws(() => parseIdempotencyKey(bad), { code: "INVALID_HEADER" }, bad);
});

t.test("a callback is a URL that may be called; a refusal repeats nothing of its query", async (t) => {
  const open = configSchema.parse({});
  t.equal(parseCallback(undefined, open), null);
  for (const good of ["http://127.0.0.1:9/hook?token=x", "https://hooks.example.org", "http://[::1]/"]) {
    t.equal(parseCallback(good, open), good);
  }
  const bad = [
    "",
    "hooks.example.org",
    "ftp://hooks.example.org/",
    "file:///etc/passwd",
    "https://user:secret@hooks.example.org/",
    "https://user@hooks.example.org/",
    "https://hooks.example.org/#secret",
    "https://hooks.example.org/a b",
    "https://a.example.org/, https://b.example.org/",
    "https://",
    "https://hooks.example.org:99999/",
    `https://hooks.example.org/${"x".repeat(2_000)}`,
  ];
  for (const url of bad) {
    t.throws(() => parseCallback(url, open), { code: "INVALID_HEADER", message: /^((?!secret).)*$/ }, url.slice(0, 60));
  }
});

t.test("beyond loopback a callback goes only where the operator allows it", async (t) => {
  const wide = configSchema.parse({ proxy: { host: "0.0.0.0" } });
  t.throws(() => parseCallback("https://hooks.example.org/x?token=secret", wide), {
    code: "INVALID_HEADER",
    message: /^Sluice-Callback names https:\/\/hooks\.example\.org, which is not allowed$/,
    hint: /callbacks\.allow/,
  });
  for (const host of ["0.0.0.0", "127.0.0.1"]) {
    const listed = configSchema.parse({ proxy: { host }, callbacks: { allow: ["https://hooks.example.org"] } });
    t.equal(parseCallback("https://HOOKS.example.org:443/x", listed), "https://HOOKS.example.org:443/x");
    const others = [
      "http://hooks.example.org/",
      "https://hooks.example.org:444/",
      "https://hooks.example.org.evil/",
      "https://evil.org\\@hooks.example.org/",
      "http://169.254.169.254/",
    ];
    for (const url of others) t.throws(() => parseCallback(url, listed), { code: "INVALID_HEADER" }, url);
  }
});
