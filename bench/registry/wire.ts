/** The service's messages, as any client or server over grpc-js and proto-loader has them. */
import { fileURLToPath } from "node:url";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const PROTO = fileURLToPath(new URL("../../sidecar/registry/model-registry.proto", import.meta.url));

export const service = loadSync(PROTO, { keepCase: true, longs: String, defaults: true, oneofs: true })[
  "cogmentAPI.ModelRegistrySP"
] as unknown as ServiceDefinition;
