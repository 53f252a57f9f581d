/** CogStack Model Gateway's environment variables (reference cmg-api 4.1, 4.2). */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Loader } from "../config/loader.js";
import type { Row, Table } from "./table.js";

/** Of services Sluice does without: each may stay set and changes nothing. */
const NOT_NEEDED: Readonly<Record<string, readonly string[]>> = {
  DB: ["USER", "PASSWORD", "NAME", "HOST", "PORT"],
  OBJECT_STORE: ["HOST", "PORT", "ACCESS_KEY", "SECRET_KEY", "BUCKET_TASKS", "BUCKET_RESULTS"],
  QUEUE: ["USER", "PASSWORD", "NAME", "HOST", "PORT"],
};

const WHY: Readonly<Record<string, string>> = {
  DB: "SQLite in the data folder",
  OBJECT_STORE: "files in the data folder",
  QUEUE: "a table in the data folder",
};

const unneeded: Row<Loader>[] = Object.entries(NOT_NEEDED).flatMap(([service, names]) =>
  names.map((name) => ({
    id: `env-CMG_${service}_${name}`,
    says: `CMG_${service}_${name}`,
    differs: `not needed, named once as such: ${WHY[service]} instead`,
    check: (t, { load }) => {
      const variable = `CMG_${service}_${name}`;
      const { config, warnings } = load({ env: { [variable]: "5" } });
      t.strictSame(config, load().config, "it changes nothing");
      t.match(warnings.join(), new RegExp(`not needed: ${variable}`));
    },
  })),
);

const LEVELS = ["CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"];

const levels: Row<Loader>[] = ["COMMON", "GATEWAY", "SCHEDULER", "RIPPER"].map((part) => ({
  id: `env-CMG_${part}_LOG_LEVEL`,
  says: `CMG_${part}_LOG_LEVEL: a level name, default INFO`,
  check: (t, { load, refuse }) => {
    const of = (level: string) => load({ env: { [`CMG_${part}_LOG_LEVEL`]: level } }).config.log.level;
    t.strictSame(LEVELS.map(of), ["fatal", "error", "warn", "info", "debug"]);
    t.equal(load().config.log.level, "info");
    t.match(refuse({ env: { [`CMG_${part}_LOG_LEVEL`]: "LOUD" } }).message, /log\.level/);
  },
}));

const ignored: Row<Loader>[] = [
  ["CMG_SCHEDULER_METRICS_PORT", "8001", "metrics are all at /metrics"],
  ["CMG_RIPPER_METRICS_PORT", "8002", "metrics are all at /metrics"],
  ["CMG_IMAGE_TAG", "latest", "only a compose file reads it"],
  ["CMG_COMMIT_SHA", "abc", "only a compose file reads it"],
  ["CMG_NO_PROXY_EXT", "a,b", "only a compose file reads it"],
  ["PROMETHEUS_MULTIPROC_DIR", "/tmp/prometheus", "metrics need no folder"],
].map(([variable, value, why]) => ({
  id: `env-${variable}`,
  says: variable!,
  differs: `may stay set and changes nothing: ${why}`,
  check: (t, { load }) => t.strictSame(load({ env: { [variable!]: value! } }).config, load().config),
}));

export const CONFIG_ENVIRONMENT: Table<Loader> = {
  id: "config-environment",
  title: "Environment variables",
  rows: [
    {
      id: "env-CONFIG_FILE",
      says: "CONFIG_FILE names the JSON file; unset, nothing starts",
      differs: "it may be left out",
      check: (t, { cwd, load }) => {
        writeFileSync(join(cwd, "named.json"), '{"cms":{"host_url":"","server_port":5}}');
        t.equal(load({ env: { CONFIG_FILE: "named.json" } }).config.cms.server_port, 5);
        t.equal(load().config.cms.server_port, 8000);
      },
    },
    ...unneeded,
    {
      id: "env-CMG_SCHEDULER_MAX_CONCURRENT_TASKS",
      says: "CMG_SCHEDULER_MAX_CONCURRENT_TASKS: slots, default 1",
      differs: "4 by default, one call at a time for each model server",
      check: (t, { load, refuse }) => {
        const variable = "CMG_SCHEDULER_MAX_CONCURRENT_TASKS";
        t.equal(load({ env: { [variable]: "7" } }).config.scheduler.max_concurrent_tasks, 7);
        t.equal(load().config.scheduler.max_concurrent_tasks, 4);
        t.equal(load().config.models.concurrency, 1);
        for (const bad of ["", "x", "0"]) t.match(refuse({ env: { [variable]: bad } }).message, new RegExp(variable));
      },
    },
    {
      id: "env-CMG_RIPPER_INTERVAL",
      says: "CMG_RIPPER_INTERVAL: seconds between looks for expired models, default 60",
      check: (t, { load, refuse }) => {
        t.equal(load({ env: { CMG_RIPPER_INTERVAL: "30" } }).config.ripper.interval, 30_000);
        t.equal(load().config.ripper.interval, 60_000);
        t.match(refuse({ env: { CMG_RIPPER_INTERVAL: "" } }).message, /CMG_RIPPER_INTERVAL/);
      },
    },
    {
      id: "env-CMG_HOST_PORT",
      says: "CMG_HOST_PORT: the port on the host, default 8888",
      check: (t, { load }) => {
        t.equal(load({ env: { CMG_HOST_PORT: "8899" } }).config.proxy.port, 8899);
        t.equal(load().config.proxy.port, 8888);
      },
    },
    ...levels,
    ...ignored,
    {
      id: "env-DOCKER_HOST",
      says: "DOCKER_HOST names the Docker daemon",
      differs: "a Unix socket only; anything else is ignored with a warning",
      check: (t, { load }) => {
        const { config } = load({ env: { DOCKER_HOST: "unix:///run/own.sock" } });
        t.equal(config.discovery.docker.socket, "/run/own.sock");
        t.match(load({ env: { DOCKER_HOST: "tcp://h:1" } }).warnings.join(), /DOCKER_HOST is ignored/);
      },
    },
    {
      id: "env-dotenv",
      says: "a .env file adds variables and never overrides the real environment",
      check: (t, { cwd, load }) => {
        writeFileSync(join(cwd, ".env"), "CMG_RIPPER_INTERVAL=11\nCMG_HOST_PORT=8801\n");
        const { config } = load({ env: { CMG_RIPPER_INTERVAL: "22" } });
        t.equal(config.ripper.interval, 22_000);
        t.equal(config.proxy.port, 8801);
        writeFileSync(join(cwd, ".env"), "");
      },
    },
    {
      id: "env-empty",
      says: "set but empty counts as set: a number then stops the start",
      check: (t, { refuse }) => {
        t.match(refuse({ env: { CMG_HOST_PORT: "" } }).message, /CMG_HOST_PORT/);
      },
    },
  ],
};
