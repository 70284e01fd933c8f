import type { RemoteInfo } from "node:dgram";
import { expect, test } from "vitest";
import { maxPaths, newPathBurst, PeerPaths } from "./peer-paths.ts";

const local = { host: "127.0.0.1", port: 4433 };
const first = { host: "192.0.2.7", port: 1000 };

function from(port: number, address = first.host): RemoteInfo {
  return { address, port, family: "IPv4", size: 1 };
}

test("datagrams of the known address always pass, with one and the same info", () => {
  const paths = new PeerPaths(local, first, 0);
  const info = paths.admit(from(1000), false, 0);
  expect(info).toEqual({ from: first, to: local });
  expect(paths.admit(from(1000), true, 0)).toBe(info);
});

test("an unknown address passes only where the peer may move, and not often", () => {
  const paths = new PeerPaths(local, first, 0);
  expect(paths.admit(from(1), false, 0)).toBeUndefined();
  for (let count = 0; count < newPathBurst; count += 1) {
    expect(paths.admit(from(2000 + count), true, 0)).toBeDefined();
  }
  expect(paths.admit(from(3000), true, 0)).toBeUndefined();
  expect(paths.admit(from(3000), true, 1_001)).toBeDefined();
});

test("a path that quiche took on is known, and counts against the limit", () => {
  const paths = new PeerPaths(local, first, 0);
  for (let count = 1; count < maxPaths; count += 1) {
    const nowMs = count * 60_000;
    expect(paths.admit(from(count), true, nowMs)).toBeDefined();
    const peer = { host: first.host, port: count };
    paths.handle({ type: "New", local, peer }, from(count));
  }
  expect(paths.admit(from(5), true, 0)).toBeDefined();
  expect(paths.admit(from(9999), true, 1e9)).toBeUndefined();
});

test("a migration changes where the peer is", () => {
  const paths = new PeerPaths(local, first, 0);
  const moved = { host: first.host, port: 2000 };
  paths.handle({ type: "New", local, peer: moved }, from(2000));
  expect(paths.remote).toEqual(first);
  paths.handle({ type: "PeerMigrated", old: local, new: moved }, from(2000));
  expect(paths.remote).toEqual(moved);
});

test("a peer that quiche has followed is there before its new address is validated, and the paths it left are the others", () => {
  const paths = new PeerPaths(local, first, 0);
  const [second, third] = [2000, 3000].map((port) => ({ host: first.host, port }));
  paths.handle({ type: "New", local, peer: second! }, from(2000));
  paths.handle({ type: "PeerMigrated", old: local, new: second! }, from(2000));
  paths.handle({ type: "New", local, peer: third! }, from(3000));
  expect(paths.remote).toEqual(second);
  paths.follow(third);
  expect(paths.remote).toEqual(third);
  expect(paths.others().map((path) => path.from)).toEqual([first, second]);
  paths.follow({ host: "203.0.113.1", port: 1 });
  expect(paths.remote).toEqual(third);
});

test("quiche sees no IPv6 zone, the socket does", () => {
  const paths = new PeerPaths({ host: "::", port: 1 }, { host: "fe80::1%eth0", port: 2 }, 0);
  expect(paths.quicheRemote).toEqual({ host: "fe80::1", port: 2 });
  expect(paths.destination({ host: "fe80::1", port: 2 })).toEqual({
    host: "fe80::1%eth0",
    port: 2,
  });
});
