import t from "tap";
import { ERRORS, type ErrorCode, SluiceError } from "../../../../core/contract/errors.js";
import { asRefusal, CallRefused } from "../../../../sidecar/registry/grpc/statuses.js";

const statusOf = (code: ErrorCode) => asRefusal(new SluiceError(code, "words"), "doing it").status;

t.test("each error of the registry has its status", async (t) => {
  const rows: Partial<Record<ErrorCode, string>> = {
    REGISTRY_ID_INVALID: "INVALID_ARGUMENT",
    INVALID_PARAMETER: "INVALID_ARGUMENT",
    VERSION_REJECTED: "INVALID_ARGUMENT",
    REGISTRY_MODEL_UNKNOWN: "NOT_FOUND",
    REGISTRY_VERSION_UNKNOWN: "NOT_FOUND",
    REGISTRY_IN_USE: "FAILED_PRECONDITION",
    REGISTRY_BUSY: "RESOURCE_EXHAUSTED",
    VERSION_TOO_LARGE: "RESOURCE_EXHAUSTED",
    VERSION_DAMAGED: "DATA_LOSS",
    SHUTTING_DOWN: "UNAVAILABLE",
    DISK_FULL: "INTERNAL",
    STORE_FAILED: "INTERNAL",
    INTERNAL: "INTERNAL",
  };
  for (const [code, status] of Object.entries(rows)) t.equal(statusOf(code as ErrorCode), status, code);
  for (const code of Object.keys(ERRORS) as ErrorCode[]) t.equal(statusOf(code), rows[code] ?? "INTERNAL", code);
});

t.test("what nobody foresaw is INTERNAL, without its own words", async (t) => {
  for (const thrown of [
    new Error("/var/lib/secret: EACCES"),
    Object.assign(new Error("/x"), { code: "ENOSPC" }),
    "text",
    null,
  ]) {
    const { status, message } = asRefusal(thrown, 'creating model "x"');
    t.equal(status, "INTERNAL");
    t.match(message, 'unexpected error while creating model "x": ');
    t.notMatch(message, "/");
  }
});

t.test("a refusal stays what it is", async (t) => {
  const refusal = new CallRefused("NOT_FOUND", "no model");
  t.equal(asRefusal(refusal, "anything"), refusal);
});
