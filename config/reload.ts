/**
 * Watches the configuration's files and loads them again when they change.
 *
 * By looking at them every `pollMs`, not by the system's notices: those are lost when an editor or a ConfigMap replaces the file.
 */
import { stat } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { ConfigError, faultAt } from "./faults.js";
import { filesToWatch, type LoadedConfig, type LoadOptions, loadConfig } from "./load.js";

export interface WatchOptions {
  readonly options: LoadOptions;
  /** What is in force now: an edit that changes nothing is not reported. */
  readonly current?: LoadedConfig;
  readonly onReload: (loaded: LoadedConfig) => void;
  /** A bad edit: what was in force stays so. Told once per edit. */
  readonly onRefused: (error: ConfigError) => void;
  readonly signal?: AbortSignal;
  /** Between two looks at the files, and how long they must be at rest; default 1000. */
  readonly pollMs?: number;
}

export interface ConfigWatch {
  /** Loads now and reports in any case, also when nothing changed: for SIGHUP. */
  trigger(): void;
  stop(): void;
}

export function watchConfig(watch: WatchOptions): ConfigWatch {
  const { options, onReload, onRefused, signal, pollMs = 1_000 } = watch;
  let current = watch.current?.config;
  let isRefused = false;
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let loadedStamp: string | undefined;
  let lastStamp: string | undefined;

  const load = (isAsked: boolean) => {
    let loaded: LoadedConfig;
    try {
      loaded = loadConfig(options);
    } catch (caught) {
      isRefused = true;
      onRefused(caught instanceof ConfigError ? caught : unforeseen(caught));
      return;
    }
    const isNews = isAsked || isRefused || !isDeepStrictEqual(loaded.config, current);
    isRefused = false;
    current = loaded.config;
    if (isNews) onReload(loaded);
  };

  const look = async () => {
    const stamp = await stampOf(filesToWatch(options));
    if (isStopped) return;
    // The first look only notes what is there, unless the caller said what is in force: then an edit since that load is seen.
    loadedStamp ??= current === undefined ? stamp : "";
    const isAtRest = stamp === lastStamp;
    lastStamp = stamp;
    if (stamp !== loadedStamp && isAtRest) {
      loadedStamp = stamp;
      load(false);
    }
    if (!isStopped) schedule();
  };
  const schedule = () => {
    timer = setTimeout(() => void look(), pollMs);
    timer.unref();
  };
  const stop = () => {
    isStopped = true;
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  };

  if (signal?.aborted === true) isStopped = true;
  else void look();
  signal?.addEventListener("abort", stop, { once: true });
  return {
    trigger: () => {
      if (!isStopped) load(true);
    },
    stop,
  };
}

/** Whatever goes wrong while loading, what was in force stays so. */
function unforeseen(caught: unknown): ConfigError {
  const name = caught instanceof Error ? caught.name : typeof caught;
  return new ConfigError([faultAt([], { source: "file", where: "reload" }, `could not be loaded (${name})`)]);
}

/** Changes whenever a file is written, replaced, made or removed. */
async function stampOf(paths: readonly string[]): Promise<string> {
  const stamps = await Promise.all(
    paths.map(async (path) => {
      try {
        const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
        return `${path} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
      } catch {
        return `${path} none`;
      }
    }),
  );
  return stamps.join("\n");
}
