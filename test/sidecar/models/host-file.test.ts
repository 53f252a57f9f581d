import t from "tap";
import { pathOnHost } from "../../../sidecar/models/host-file.js";

t.test("a file of a container's mount has the host's path, the innermost mount's", async (t) => {
  const mounts = [
    { Destination: "/data", Source: "/var/lib/docker/volumes/sluice-data/_data" },
    { Destination: "/data/archive/", Source: "/mnt/big" },
    { Destination: "/dat", Source: "/elsewhere" },
  ];
  t.equal(pathOnHost("/data/a/v1.data", mounts), "/var/lib/docker/volumes/sluice-data/_data/a/v1.data");
  t.equal(pathOnHost("/data/archive/1-m/v1.data", mounts), "/mnt/big/1-m/v1.data");
  t.equal(pathOnHost("/other/v1.data", mounts), "/other/v1.data");
  t.equal(pathOnHost("/other/v1.data", [{ Destination: "/", Source: "/root" }]), "/root/other/v1.data");
});
