/** The ids of all models there are, in byte order. */
import type { Registry } from "./registry.js";

const PAGE = 200;

/** Page by page, each read when it is asked for: a model that comes or goes in between moves no other one out of sight. */
export function* modelIdsOf(registry: Pick<Registry, "models">): Generator<string[]> {
  for (let page = registry.models({ skip: 0, limit: PAGE }); page.length > 0; ) {
    const ids = page.map(({ modelId }) => modelId);
    yield ids;
    page = registry.models({ skip: 0, limit: PAGE, after: ids.at(-1)! });
  }
}
