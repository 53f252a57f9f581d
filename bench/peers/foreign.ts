/** nginx, HAProxy and the bare Node forwarders, each in front of one upstream, each with one worker. */
import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { findFreePort, forkBench, nextMessage, spawnProgram, stopChild, waitForPort } from "./child.js";
import type { Peer } from "./peer.js";

const START_MS = 10_000;

export interface Upstream {
  readonly port: number;
}

/** Missing servers answer undefined: the report says so. */
export type StartPeer = (upstream: Upstream, folder: string) => Promise<Peer | undefined>;

export function findProgram(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const nginxConfig = (port: number, upstream: Upstream) => `
daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off; client_max_body_size 0; keepalive_requests 1000000000; keepalive_timeout 600s;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  upstream model { server 127.0.0.1:${upstream.port}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=2048;
    location / {
      proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_request_buffering off; proxy_buffering off;
    }
  }
}
`;

const haproxyConfig = (port: number, upstream: Upstream) => `
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  option http-keep-alive
  http-reuse always
frontend door
  bind 127.0.0.1:${port} backlog 2048
  default_backend model
backend model
  server model 127.0.0.1:${upstream.port} pool-max-conn -1
`;

async function startProgram(name: string, path: string, args: string[], port: number, folder: string): Promise<Peer> {
  const child = spawnProgram(path, args, folder);
  const said: string[] = [];
  child.stderr?.on("data", (chunk: Buffer) => said.push(chunk.toString()));
  child.stdout?.resume();
  try {
    await waitForPort(port, START_MS);
  } catch (error) {
    throw new Error(`${name} did not start: ${said.join("").slice(-500)}`, { cause: error });
  }
  return { name, host: "127.0.0.1", port, prefix: "", pid: child.pid ?? 0, stop: () => stopChild(child) };
}

export const startNginx: StartPeer = async (upstream, folder) => {
  const path = findProgram("nginx");
  if (path === undefined) return undefined;
  const home = join(folder, "nginx");
  mkdirSync(home, { recursive: true });
  const port = await findFreePort();
  writeFileSync(join(home, "nginx.conf"), nginxConfig(port, upstream));
  return await startProgram("nginx", path, ["-p", home, "-e", "stderr", "-c", "nginx.conf"], port, home);
};

export const startHaproxy: StartPeer = async (upstream, folder) => {
  const path = findProgram("haproxy");
  if (path === undefined) return undefined;
  const home = join(folder, "haproxy");
  mkdirSync(home, { recursive: true });
  const port = await findFreePort();
  writeFileSync(join(home, "haproxy.cfg"), haproxyConfig(port, upstream));
  return await startProgram("HAProxy", path, ["-db", "-f", "haproxy.cfg"], port, home);
};

const startForwarder =
  (kind: "undici" | "http-proxy-3"): StartPeer =>
  async (upstream) => {
    const child = forkBench("peers/forwarder.js", [kind, `http://127.0.0.1:${upstream.port}`]);
    const port = await nextMessage<number>(child, START_MS);
    const name = `bare ${kind}`;
    return { name, host: "127.0.0.1", port, prefix: "", pid: child.pid ?? 0, stop: () => stopChild(child) };
  };

export const startUndici = startForwarder("undici");
export const startHttpProxy = startForwarder("http-proxy-3");

/** The upstream, which is also the peer that every other is compared with. */
export async function startUpstream(): Promise<Peer> {
  const child = forkBench("peers/upstream.js");
  const port = await nextMessage<number>(child, START_MS);
  return { name: "direct", host: "127.0.0.1", port, prefix: "", pid: child.pid ?? 0, stop: () => stopChild(child) };
}
