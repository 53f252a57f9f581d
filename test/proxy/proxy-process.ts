/** The program that `main.test.ts` starts: one proxy process with the configuration of its first argument. */
import { configSchema } from "../../config/schema.js";
import { runProxy } from "../../proxy/main.js";

await runProxy({
  config: configSchema.parse(JSON.parse(process.argv[2] ?? "{}")),
  socketPath: process.argv[3] ?? "/nonexistent/sidecar.sock",
  listen: { host: "127.0.0.1", port: 0 },
});
