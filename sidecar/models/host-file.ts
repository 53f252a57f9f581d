/** Where a file of ours lies for the Docker daemon, which takes paths of its own host alone. */
import { hostname } from "node:os";
import { dirname, join, relative } from "node:path";
import type { ContainerDetails, DockerClient } from "./docker-client.js";

/** The name that Docker gives a container's machine unless told otherwise: the beginning of its id. */
const CONTAINER_HOSTNAME = /^[0-9a-f]{12}$/;

/** As it is, where we are in no container of this daemon. */
export async function fileOnHost(docker: DockerClient, file: string, own: string = hostname()): Promise<string> {
  if (!CONTAINER_HOSTNAME.test(own)) return file;
  const details = await docker.inspect(own);
  return details?.Id.startsWith(own) === true ? pathOnHost(file, details.Mounts ?? []) : file;
}

/** Through the innermost of a container's mounts that holds it; as it is where none does. Pure. */
export function pathOnHost(file: string, mounts: NonNullable<ContainerDetails["Mounts"]>): string {
  const byPlace = new Map(mounts.map(({ Source, Destination }) => [join(Destination, "."), Source]));
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const source = byPlace.get(folder);
    if (source !== undefined) return join(source, relative(folder, file));
    if (folder === dirname(folder)) return file;
  }
}
