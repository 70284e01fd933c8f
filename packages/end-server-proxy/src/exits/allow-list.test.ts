import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AllowList, type AllowRule, type ServiceTarget } from "./allow-list.ts";

/** A rule from its text; what the configuration's parser refuses is not of interest here. */
function rule(text: string): AllowRule {
  const match = /^\[?(.*?)\]?(?:\/(\d+))?:([\d,*-]+)$/.exec(text)!;
  const [, host = "", bits, ports = ""] = match;
  return {
    text,
    host,
    prefixBits: bits === undefined ? undefined : Number(bits),
    ports: ports.split(",").map((part) => {
      const [first, last] = part === "*" ? [1, 65_535] : part.split("-").map(Number);
      return { first: first!, last: last ?? first! };
    }),
  };
}

function allowing(rules: readonly string[], services: Record<string, ServiceTarget> = {}) {
  return new AllowList({
    services: new Map(Object.entries(services)),
    rules: rules.map(rule),
  });
}

/** The decision in one line. */
function decide(list: AllowList, target: string): string {
  const found = list.resolve(target);
  switch (found.kind) {
    case "addresses":
      return `dial ${found.addresses.join(" ")} port ${found.port}`;
    case "name":
    case "lookup":
      return `${found.kind} ${found.host} port ${found.port}`;
    case "unix":
      return `unix ${found.path}`;
    case "refused":
      return found.status === 400 ? "malformed" : `denied ${found.status}`;
  }
}

const denied = "denied 203";

describe("targets against rules", () => {
  test.each([
    // Nothing listed is nothing reachable.
    ["22", [], denied],
    ["127.0.0.1:22", [], denied],
    ["ssh", [], denied],
    // A port alone is a port of this machine.
    ["22", ["127.0.0.1:22"], "dial 127.0.0.1 port 22"],
    ["22", ["localhost:22"], "dial 127.0.0.1 port 22"],
    ["22", ["127.0.0.0/8:22"], "dial 127.0.0.1 port 22"],
    ["22", ["[::1]:22"], denied],
    ["23", ["127.0.0.1:22"], denied],
    ["022", ["127.0.0.1:22"], "dial 127.0.0.1 port 22"],
    ["0", ["127.0.0.1:*"], "malformed"],
    ["65536", ["127.0.0.1:*"], "malformed"],
    // Addresses.
    ["192.168.1.9:80", ["192.168.1.9:80"], "dial 192.168.1.9 port 80"],
    ["192.168.1.9:81", ["192.168.1.9:80"], denied],
    ["192.168.1.10:80", ["192.168.1.9:80"], denied],
    ["192.168.1.0:80", ["192.168.1.0/24:80,443,8000-8100"], "dial 192.168.1.0 port 80"],
    ["192.168.1.255:8100", ["192.168.1.0/24:80,443,8000-8100"], "dial 192.168.1.255 port 8100"],
    ["192.168.1.255:8101", ["192.168.1.0/24:80,443,8000-8100"], denied],
    ["192.168.2.0:80", ["192.168.1.0/24:80"], denied],
    ["192.168.1.77:80", ["192.168.1.5/24:80"], "dial 192.168.1.77 port 80"],
    ["10.255.255.255:1", ["10.0.0.0/8:*"], "dial 10.255.255.255 port 1"],
    ["203.0.113.7:443", ["0.0.0.0/0:443"], "dial 203.0.113.7 port 443"],
    ["203.0.113.7:443", ["203.0.113.7/32:443"], "dial 203.0.113.7 port 443"],
    ["203.0.113.8:443", ["203.0.113.7/32:443"], denied],
    ["[fd00::17]:22", ["[fd00::]/64:22"], "dial fd00::17 port 22"],
    ["[FD00:0:0:0:0:0:0:17]:22", ["[fd00::]/64:22"], "dial fd00::17 port 22"],
    ["[fd00:0:0:1::17]:22", ["[fd00::]/64:22"], denied],
    ["[::1]:22", ["[::1]:22"], "dial ::1 port 22"],
    ["[0:0:0:0:0:0:0:1]:22", ["[::1]:22"], "dial ::1 port 22"],
    ["[::1]:22", ["127.0.0.1:22"], denied],
    // One family's networks say nothing about the other.
    ["10.0.0.1:22", ["[::]/0:22"], denied],
    ["[fd00::1]:22", ["0.0.0.0/0:22"], denied],
    // IPv4 in IPv6 is IPv4.
    ["[::ffff:127.0.0.1]:22", ["127.0.0.1:22"], "dial 127.0.0.1 port 22"],
    ["[::ffff:7f00:1]:22", ["127.0.0.1:22"], "dial 127.0.0.1 port 22"],
    ["[::ffff:127.0.0.1]:22", ["[::]/0:22"], denied],
    ["[::ffff:10.0.0.9]:22", ["192.168.0.0/16:22"], denied],
    ["10.0.0.9:22", ["[::ffff:10.0.0.9]:22"], "dial 10.0.0.9 port 22"],
    ["10.0.0.9:22", ["[::ffff:10.0.0.0]/104:22"], "dial 10.0.0.9 port 22"],
    ["11.0.0.9:22", ["[::ffff:10.0.0.0]/104:22"], denied],
    // Other embeddings are addresses of their own.
    ["[::127.0.0.1]:22", ["127.0.0.1:22"], denied],
    ["[64:ff9b::127.0.0.1]:22", ["127.0.0.0/8:22"], denied],
    // What systems take for loopback when it is dialled.
    ["0.0.0.0:22", ["0.0.0.0/0:22", "0.0.0.0:22"], denied],
    ["[::]:22", ["[::]/0:22", "[::]:22"], denied],
    ["[::ffff:0.0.0.0]:22", ["0.0.0.0/0:22"], denied],
    // Spellings that resolvers would read as 127.0.0.1.
    ["0177.0.0.1:22", ["127.0.0.1:22", "0.0.0.0/0:22"], "malformed"],
    ["127.0.0.01:22", ["127.0.0.1:22"], "malformed"],
    ["127.1:22", ["127.0.0.1:22"], "malformed"],
    ["2130706433", ["127.0.0.1:*"], "malformed"],
    ["2130706433:22", ["127.0.0.1:22"], "malformed"],
    ["0x7f000001:22", ["0.0.0.0/0:22"], "malformed"],
    ["0x7f.0.0.1:22", ["0.0.0.0/0:22"], "malformed"],
    ["127.0.0.1.:22", ["127.0.0.1:22", "0.0.0.0/0:22"], "malformed"],
    ["１２７.0.0.1:22", ["0.0.0.0/0:22"], "malformed"],
    ["[fe80::1%lo]:22", ["[fe80::]/10:22"], "malformed"],
    ["::1:22", ["[::1]:22"], "malformed"],
    ["[127.0.0.1]:22", ["127.0.0.1:22"], "malformed"],
    // localhost is loopback, under every name it has.
    ["localhost:22", ["127.0.0.1:22"], "dial 127.0.0.1 port 22"],
    ["LOCALHOST:22", ["127.0.0.1:22"], "dial 127.0.0.1 port 22"],
    ["localhost:22", ["[::1]:22"], "dial ::1 port 22"],
    ["localhost:22", ["localhost:22"], "dial 127.0.0.1 ::1 port 22"],
    ["127.0.0.1:22", ["localhost:22"], "dial 127.0.0.1 port 22"],
    ["any.localhost:22", ["0.0.0.0/0:80"], denied],
    ["any.localhost:22", ["192.168.0.0/16:22"], denied],
    ["localhost.:22", ["localhost:22"], "malformed"],
    ["localhost:22", ["0.0.0.0/0:22"], "dial 127.0.0.1 port 22"],
    // Names.
    ["printer.lan:631", ["printer.lan:631"], "name printer.lan port 631"],
    ["Printer.LAN:631", ["printer.lan:631"], "name printer.lan port 631"],
    ["printer.lan:631", ["PRINTER.lan:631"], "name printer.lan port 631"],
    ["printer.lan:632", ["printer.lan:631"], denied],
    ["evil.printer.lan:631", ["printer.lan:631"], denied],
    ["printer.lan.evil:631", ["printer.lan:631"], denied],
    ["printer.lan.:631", ["printer.lan:631"], "malformed"],
    // A name no rule lists may lead to an address that one does.
    ["printer.lan:631", ["192.168.1.0/24:631"], "lookup printer.lan port 631"],
    ["printer.lan:631", ["192.168.1.9:631"], "lookup printer.lan port 631"],
    ["printer.lan:631", ["192.168.1.0/24:80"], denied],
    ["printer.lan:631", ["other.lan:631"], denied],
    // No target at all.
    ["", ["0.0.0.0/0:*"], "malformed"],
    [":22", ["0.0.0.0/0:*"], "malformed"],
    ["host:", ["0.0.0.0/0:*"], "malformed"],
    ["a b:22", ["0.0.0.0/0:*"], "malformed"],
    ["host\u0000:22", ["0.0.0.0/0:*"], "malformed"],
    [`${"a".repeat(1000)}:22`, ["0.0.0.0/0:*"], "malformed"],
  ])("%s with %j: %s", (target, rules, expected) => {
    expect(decide(allowing(rules), target)).toBe(expected);
  });
});

test("a service leads where it says, opens no address, and no address opens it", () => {
  const list = allowing(["127.0.0.1:80"], {
    ssh: { kind: "tcp", host: "127.0.0.1", port: 22 },
    web: { kind: "tcp", host: "localhost", port: 80 },
    nas: { kind: "tcp", host: "nas.lan", port: 445 },
    mapped: { kind: "tcp", host: "::ffff:10.0.0.1", port: 1 },
    docker: { kind: "unix", path: "/run/docker.sock" },
  });
  expect(decide(list, "ssh")).toBe("dial 127.0.0.1 port 22");
  expect(decide(list, "web")).toBe("dial 127.0.0.1 ::1 port 80");
  expect(decide(list, "nas")).toBe("name nas.lan port 445");
  expect(decide(list, "mapped")).toBe("dial 10.0.0.1 port 1");
  expect(decide(list, "docker")).toBe("unix /run/docker.sock");
  expect(decide(list, "22")).toBe(denied);
  expect(decide(list, "nas.lan:445")).toBe(denied);
  expect(decide(list, "constructor")).toBe(denied);
  expect(list.describe()).toEqual([
    "ssh = 127.0.0.1:22",
    "web = localhost:80",
    "nas = nas.lan:445",
    "mapped = [::ffff:10.0.0.1]:1",
    "docker = unix:/run/docker.sock",
    "127.0.0.1:80",
  ]);
});

test("what is dialled is always an address that a rule covers, whatever the target says", () => {
  const list = allowing(["10.0.0.0/8:1000-2000", "[fd00::]/16:22", "printer.lan:631"]);
  const hosts = fc.oneof(
    fc.ipV4(),
    fc.ipV4Extended(),
    fc.ipV6().map((address) => `[${address}]`),
    fc.domain(),
    fc.string(),
    fc.constantFrom("localhost", "printer.lan", "[::ffff:10.1.2.3]", "10.1.2.3"),
  );
  const ports = fc.oneof(fc.integer({ min: -1, max: 70_000 }).map(String), fc.string());
  const targets = fc.oneof(
    fc.tuple(hosts, ports).map(([host, port]) => `${host}:${port}`),
    fc.string(),
  );
  fc.assert(
    fc.property(targets, (target) => {
      const found = list.resolve(target);
      if (found.kind !== "addresses") return;
      for (const address of found.addresses) {
        expect(isIP(address)).not.toBe(0);
        expect(list.permitsAddress(address, found.port)).toBe(true);
        const inFour = address.startsWith("10.") && found.port >= 1000 && found.port <= 2000;
        const inSix = address.startsWith("fd00:") && found.port === 22;
        expect(inFour || inSix).toBe(true);
      }
    }),
    { numRuns: 5000 },
  );
});

test("no text as an address of a look-up is permitted unless it is one in a network", () => {
  const list = allowing(["0.0.0.0/0:*", "[::]/0:*"]);
  for (const text of ["", "localhost", "0.0.0.0", "::", "fe80::1%eth0", "127.1", "1.2.3.4:5"]) {
    expect(list.permitsAddress(text, 80)).toBe(false);
  }
  expect(list.permitsAddress("::ffff:1.2.3.4", 80)).toBe(true);
  expect(list.permitsAddress("2001:db8::1", 80)).toBe(true);
});
