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

  it("learns where names have led, for as long as there are such names", () => {
    const table = router([to("127.0.42.102", "*.corp.example")]);
    const address = parseIpv4("10.0.0.1")!;
    expect(table.learn(address, parseIpv4("127.0.42.102")!)).toBeUndefined();
    expect(route(table, "10.0.0.1")).toBe("127.0.42.102");
    expect(table.learn(address, parseIpv4("127.0.42.103")!)).toBe("unknown_via");
    expect(route(table, "10.0.0.1")).toBe("127.0.42.102");
  });

  const names = to("127.0.42.102", "*.corp.example");
  const rest = to("127.0.42.101", "0.0.0.0/0");
  const part = to("127.0.42.101", "10.0.0.0/8");
  it.each([
    ["a host's own address", [names], "127.0.42.101", "routed_elsewhere"],
    ["an address of a network declared before", [part, names], "10.0.0.1", "routed_elsewhere"],
    ["an address of a network declared after", [names, part], "10.0.0.1", "routed_elsewhere"],
    [
      "an address of the same host",
      [names, to("127.0.42.102", "10.0.0.0/8")],
      "10.0.0.1",
      undefined,
    ],
    ["an address of all there are, declared before", [rest, names], "10.0.0.1", undefined],
    ["an address of all there are, declared after", [names, rest], "10.0.0.1", "routed_elsewhere"],
    [
      "an address behind a host that there is not",
      [to("127.0.42.9", "10.0.0.0/8"), names],
      "10.0.0.1",
      undefined,
    ],
    ["an address next to a network", [part, names], "11.0.0.1", undefined],
  ] as const)("lets names lead to %s, or does not", (_what, routes, address, refusal) => {
    const table = router(routes);
    const before = route(table, address);
    expect(table.learn(parseIpv4(address)!, parseIpv4("127.0.42.102")!)).toBe(refusal);
    expect(route(table, address)).toBe(refusal === undefined ? "127.0.42.102" : before);
  });

  const special = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.0.9", "169.254.169.254"];
  const toMany = ["224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"];
  it.each([...special, ...toMany])(
    "lets names lead to %s, which is another machine's on each, only where the manifest does",
    (address) => {
      const [to2, learned] = [parseIpv4("127.0.42.102")!, parseIpv4(address)!];
      for (const routes of [[names], [rest, names]]) {
        expect(router(routes).learn(learned, to2)).toBe("special_address");
      }
      const network = to("127.0.42.102", `${address}/32`);
      const table = router([network, names]);
      expect(table.learn(learned, to2)).toBeUndefined();
      const next = router([names]);
      next.learnFrom(table);
      expect(next.learnedCount).toBe(0);
      expect(router([to("127.0.42.101", `${address}/32`), names]).learn(learned, to2)).toBe(
        "routed_elsewhere",
      );
    },
  );

  it("forgets what was not used for longest", () => {
    const table = router([to("127.0.42.101", "*.a")], 2);
    const via = parseIpv4("127.0.42.101")!;
    for (const address of ["10.0.0.1", "10.0.0.2"]) table.learn(parseIpv4(address)!, via);
    expect(route(table, "10.0.0.1")).toBe("127.0.42.101");
    table.learn(parseIpv4("10.0.0.3")!, via);
    expect(table.learnedCount).toBe(2);
    expect(route(table, "10.0.0.1")).toBe("127.0.42.101");
    expect(route(table, "10.0.0.2")).toBe("10.0.0.2");
  });

  it.each([
    ["nothing is new", [to("127.0.42.101", "*.a", "*.b"), to("127.0.42.102", "*.c")], true],
    ["other names are new", [to("127.0.42.101", "*.a", "*.b"), to("127.0.42.103", "*.c")], true],
    ["its names are new", [to("127.0.42.101", "*.a")], false],
    ["they lie behind another host", [to("127.0.42.102", "*.a", "*.b")], false],
    [
      "it has become the address of a network",
      [to("127.0.42.101", "*.a", "*.b"), to("127.0.42.102", "10.0.0.0/8")],
      false,
    ],
  ] as const)("takes over what another has learned, or not: %s", (_what, routes, isKept) => {
    const before = router([to("127.0.42.101", "*.a", "*.b")]);
    before.learn(parseIpv4("10.0.0.3")!, parseIpv4("127.0.42.101")!);
    const table = router(routes);
    table.learnFrom(before);
    expect(table.learnedCount).toBe(isKept ? 1 : 0);
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
