/** Every table, in the page's order. */
import { CONFIG_ENVIRONMENT } from "./config-environment.js";
import { CONFIG_FILE } from "./config-file.js";
import { DELETE } from "./delete.js";
import { DEPLOY } from "./deploy.js";
import { DEPLOY_RULES } from "./deploy-rules.js";
import { LITERALS } from "./literals.js";
import { METRICS } from "./metrics.js";
import { MODEL_TASKS } from "./model-tasks.js";
import { MODELS } from "./models.js";
import { NAMES } from "./names.js";
import { ON_DEMAND_CHANGE } from "./on-demand-change.js";
import { ON_DEMAND_CREATE } from "./on-demand-create.js";
import { PYTHON_CLIENT } from "./python-client.js";
import { ROOT } from "./root.js";
import { SLASH_FORMS } from "./slash-forms.js";
import { STARTING } from "./starting.js";
import type { Table } from "./table.js";
import { TASKS } from "./tasks.js";
import { TTL } from "./ttl.js";
import { VALIDATION } from "./validation.js";

export const TABLES: readonly Table<never>[] = [
  ROOT,
  SLASH_FORMS,
  LITERALS,
  MODELS,
  DEPLOY,
  DEPLOY_RULES,
  DELETE,
  NAMES,
  ON_DEMAND_CREATE,
  ON_DEMAND_CHANGE,
  STARTING,
  TTL,
  MODEL_TASKS,
  TASKS,
  VALIDATION,
  METRICS,
  CONFIG_FILE,
  CONFIG_ENVIRONMENT,
  PYTHON_CLIENT,
];
