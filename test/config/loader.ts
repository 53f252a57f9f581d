/** Loads configurations from a folder of the test's own. */
import type { Test } from "tap";
import { ConfigError, type LoadedConfig, type LoadOptions, loadConfig } from "../../config/load.js";

type Extra = Omit<Partial<LoadOptions>, "cwd">;

export interface Loader {
  readonly cwd: string;
  load(extra?: Extra): LoadedConfig;
  /** Loads what must be refused. */
  refuse(extra?: Extra): ConfigError;
}

/** @param files `sluice.yaml` is loaded unless `extra.file` names another */
export function loader(test: Test, files: Parameters<Test["testdir"]>[0]): Loader {
  const cwd = test.testdir(files);
  const load = (extra: Extra = {}) => loadConfig({ file: "sluice.yaml", env: {}, ...extra, cwd });
  const refuse = (extra: Extra = {}) => {
    try {
      load(extra);
    } catch (caught) {
      if (caught instanceof ConfigError) return caught;
      throw caught;
    }
    throw new Error("it was accepted");
  };
  return { cwd, load, refuse };
}
