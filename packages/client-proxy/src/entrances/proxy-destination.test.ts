import { expect, test } from "vitest";
import { proxyDestination } from "./proxy-destination.ts";

test.each([
  ["lan-box", 22, "lan-box:22"],
  ["lan-box.culvert", 22, "lan-box:22"],
  ["LAN-Box.Culvert", 22, "lan-box:22"],
  ["www.example.com", 443, "www.example.com:443"],
  ["culvert", 22, "culvert:22"],
  ["192.168.1.9", 22, "address"],
  ["::1", 22, "address"],
  ["2001:db8:0:0:0:0:0:1", 22, "address"],
  ["", 22, "malformed"],
  [".culvert", 22, "malformed"],
  ["lan-box.", 22, "malformed"],
  ["lan box", 22, "malformed"],
  ["[::1]", 22, "malformed"],
  ["a".repeat(65), 22, "malformed"],
  ["lan-box", 0, "malformed"],
  ["lan-box", 65_536, "malformed"],
  ["lan-box", Number.NaN, "malformed"],
])("%s port %s: %s", (host, port, expected) => {
  const found = proxyDestination(host, port);
  const shown =
    found.kind === "found" ? `${found.destination.server}:${found.destination.target}` : found.kind;
  expect(shown).toBe(expected);
});
