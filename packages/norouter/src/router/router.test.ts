import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NorouterRoute } from "@culvert/wire";
import { canonicalName, globMatches } from "./hostname-glob.ts";
import { formatIpv4, formatNetwork, networkHas, parseIpv4, parseNetwork } from "./ipv4.ts";
import { Router } from "./router.ts";

function to(via: string, ...targets: string[]): NorouterRoute {
  return {
    via,
    toCidr: targets.filter((target) => target.includes("/")),
    toHostnameGlob: targets.filter((target) => !target.includes("/")),
  };
}

function router(routes: readonly NorouterRoute[], maxLearned?: number): Router {
  const hosts = ["127.0.42.100", "127.0.42.101", "127.0.42.102", "127.0.42.103"];
  return new Router({ hosts, routes, maxLearned });
}

function route(table: Router, address: string): string {
  return formatIpv4(table.route(parseIpv4(address)!));
}

function name(table: Router, host: string): string | undefined {
  const via = table.routeName(host);
  return via === undefined ? undefined : formatIpv4(via);
}

describe("Router", () => {
  const overlapping = [
    to("127.0.42.101", "192.168.95.0/24", "192.168.96.0/24"),
    to("127.0.42.102", "192.168.96.0/25"),
    to("127.0.42.103", "192.168.96.1/32"),
  ];

  it.each([
    ["192.168.95.1", "127.0.42.101"],
    ["192.168.96.200", "127.0.42.101"],
    ["192.168.96.2", "127.0.42.102"],
    ["192.168.96.1", "127.0.42.103"],
    ["192.168.97.1", "192.168.97.1"],
    ["127.0.42.101", "127.0.42.101"],
  ])("takes the last route that contains %s", (address, via) => {
    expect(route(router(overlapping), address)).toBe(via);
  });

  it("lets a later wide route win over an earlier narrow one, and hosts over all", () => {
    const table = router([...overlapping, to("127.0.42.100", "0.0.0.0/0")]);
    expect(route(table, "192.168.96.1")).toBe("127.0.42.100");
    expect(route(table, "127.0.42.103")).toBe("127.0.42.103");
  });

  it("lets what it has learned win over routes but not over hosts", () => {
    const table = router(overlapping);
    const via = parseIpv4("127.0.42.102")!;
    table.learn(parseIpv4("192.168.95.7")!, via);
    table.learn(parseIpv4("127.0.42.101")!, via);
    expect(route(table, "192.168.95.7")).toBe("127.0.42.102");
    expect(route(table, "127.0.42.101")).toBe("127.0.42.101");
  });

  it("forgets what was not used for longest", () => {
    const table = router([], 2);
    const via = parseIpv4("127.0.42.101")!;
    for (const address of ["10.0.0.1", "10.0.0.2"]) table.learn(parseIpv4(address)!, via);
    expect(route(table, "10.0.0.1")).toBe("127.0.42.101");
    table.learn(parseIpv4("10.0.0.3")!, via);
    expect(table.learnedCount).toBe(2);
    expect(route(table, "10.0.0.1")).toBe("127.0.42.101");
    expect(route(table, "10.0.0.2")).toBe("10.0.0.2");
    const next = router([], 2);
    next.learnFrom(table);
    expect(route(next, "10.0.0.3")).toBe("127.0.42.101");
  });

  it("routes names by the last glob they fit", () => {
    const table = router([
      to("127.0.42.101", "*.corp.example"),
      to("127.0.42.102", "*.eu.corp.example", "db.corp.example."),
    ]);
    expect(name(table, "a.corp.example")).toBe("127.0.42.101");
    expect(name(table, "a.corp.example.")).toBe("127.0.42.101");
    expect(name(table, "A.EU.Corp.Example")).toBe("127.0.42.102");
    expect(name(table, "db.corp.example")).toBe("127.0.42.102");
    expect(name(table, "corp.example")).toBeUndefined();
    expect(table.resolvesNames(parseIpv4("127.0.42.102")!)).toBe(true);
    expect(table.resolvesNames(parseIpv4("127.0.42.103")!)).toBe(false);
  });
});

describe("globMatches", () => {
  it.each([
    ["*", "localhost", true],
    ["*", "", true],
    ["a*b*c", "a1b2b3c", true],
    ["a*b*c", "acb", false],
    ["ab*ba", "aba", false],
    ["*.x", "x", false],
    ["a.b", "aXb", false],
    ["**.x", "y.x", true],
  ])("%s against %s: %s", (glob, text, fits) => {
    expect(globMatches(glob, text)).toBe(fits);
  });

  it("says what a regular expression would", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "."), maxLength: 12 });
    const glob = fc.string({ unit: fc.constantFrom("a", "b", ".", "*"), maxLength: 8 });
    fc.assert(
      fc.property(glob, text, (pattern, host) => {
        const parts = canonicalName(pattern)
          .split("*")
          .map((part) => part.replaceAll(".", "\\."));
        const twin = new RegExp(`^${parts.join(".*")}$`);
        expect(globMatches(pattern, host)).toBe(twin.test(canonicalName(host)));
      }),
    );
  });
});

describe("addresses and networks", () => {
  it("are read as they are written", () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.nat(32), (text, prefix) => {
        const address = parseIpv4(text)!;
        expect(formatIpv4(address)).toBe(text);
        const network = parseNetwork(`${text}/${prefix}`)!;
        expect(networkHas(network, address)).toBe(true);
        expect(parseNetwork(formatNetwork(network))).toEqual(network);
      }),
    );
  });

  it.each(["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "::/0", "010.0.0.0/8", "a/8"])(
    "%s is no network",
    (text) => expect(parseNetwork(text)).toBeUndefined(),
  );
});
