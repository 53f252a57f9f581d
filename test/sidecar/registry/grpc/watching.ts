/** Watches a model, in a process of its own that can be stopped. */
import { RegistryClient } from "../../../helpers/registry-client.js";

const [port, modelId] = process.argv.slice(2);
new RegistryClient({ port: Number(port) }).watch(modelId!);
process.on("disconnect", () => process.exit());
process.send!("watching");
