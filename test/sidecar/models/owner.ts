/** A sidecar's catalogue in a process of its own, to be killed: `node owner.js <data dir> <configuration as JSON> <model>`. */
import { systemClock } from "../../../core/runtime/clock.js";
import { createHttpClient } from "../../../core/runtime/http.js";
import { createLogger } from "../../../core/runtime/logger.js";
import { createModelCatalogue } from "../../../sidecar/models/model-catalogue.js";
import { configOf } from "./support.js";

const [dataDir, config, model] = process.argv.slice(2);
const logger = createLogger({ level: "silent", format: "json", process: "sidecar" });
const http = createHttpClient();
const catalogue = createModelCatalogue({
  config: configOf(JSON.parse(config!)),
  dataDir: dataDir!,
  logger,
  clock: systemClock,
  http,
});
await catalogue.start();
console.log(JSON.stringify(await catalogue.ensureReady(model!, 20_000)));
setInterval(() => {}, 1_000);
