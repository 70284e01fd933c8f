import { describe, expect, it } from "vitest";
import type { ConfigureArgs, NorouterRoute, RouteSuggestion } from "@culvert/wire";
import { agentRouter } from "./agent-router.ts";
import { Resolver } from "./resolver.ts";

const hostnameMap = new Map([
  ["Host1", "127.0.42.101"],
  ["bastion", "127.0.42.150"],
]);
const via = "127.0.42.150";
const routes: NorouterRoute[] = [
  { toCidr: ["192.168.95.0/24", "fd00::/8"], toHostnameGlob: ["*.corp.example"], via },
  { toCidr: ["10.0.0.0/8"], toHostnameGlob: ["*.stray"], via: "127.0.42.199" },
  { toCidr: ["172.16.0.0/12"], toHostnameGlob: [], via: "" },
];

function resolverOf(
  answers: Readonly<Record<string, readonly string[]>> = {},
  isSuggested: () => boolean = () => true,
  manifestRoutes = routes,
) {
  const suggested: RouteSuggestion[] = [];
  const asked: string[] = [];
  const router = agentRouter({ hostnameMap, routes: manifestRoutes } as unknown as ConfigureArgs);
  const resolver = new Resolver(
    {
      router,
      lookup: (name) => {
        asked.push(`system ${name}`);
        const found = answers[name];
        return found === undefined
          ? Promise.reject(new Error("ENOTFOUND"))
          : Promise.resolve(found);
      },
      queryVia: (host, name) => {
        asked.push(`${host} ${name}`);
        return Promise.resolve(answers[name] ?? []);
      },
      suggest: (suggestion) => {
        suggested.push(suggestion);
        return isSuggested();
      },
    },
    hostnameMap,
  );
  return { resolver, suggested, asked };
}

describe("what is interesting", () => {
  it.each([
    ["a name of a host, in any case and with a dot", "HOST1.", true],
    ["the virtual address of a host", "127.0.42.101", true],
    ["another address", "127.0.42.77", false],
    ["an address of a route", "192.168.95.7", true],
    ["an address of a route to nobody", "10.1.2.3", false],
    ["an address of a route without a host", "172.16.0.1", false],
    ["an IPv6 address", "fd00::1", false],
    ["a name of a glob", "www.Corp.example", true],
    ["a name of a glob to nobody", "x.stray", false],
    ["a name that the system finds in a route", "inside", true],
    ["a name that the system finds elsewhere", "outside", false],
    ["a name that nobody knows", "nowhere", false],
  ])("%s: %s", async (_what, host, interesting) => {
    const { resolver } = resolverOf({
      inside: ["2001:db8::1", "192.168.95.9"],
      outside: ["203.0.113.1"],
    });
    expect(await resolver.isInteresting(host)).toBe(interesting);
  });

  it("asks the system only for what is not known", async () => {
    const { resolver, asked } = resolverOf();
    await resolver.isInteresting("host1");
    await resolver.isInteresting("a.corp.example");
    await resolver.isInteresting("192.168.95.1");
    expect(asked).toEqual([]);
  });
});

describe("resolving", () => {
  it("takes addresses as they are and names of hosts from the manager", async () => {
    const { resolver, asked } = resolverOf();
    expect(await resolver.resolve("192.168.95.7")).toBe("192.168.95.7");
    expect(await resolver.resolve("host1")).toBe("127.0.42.101");
    expect(asked).toEqual([]);
  });

  it("asks the bastion of a glob, suggests all it learned, and finds them interesting then", async () => {
    const { resolver, suggested, asked } = resolverOf({
      "a.corp.example": ["10.9.9.1", "10.9.9.2"],
    });
    expect(await resolver.isInteresting("10.9.9.2")).toBe(false);
    expect(await resolver.resolve("A.corp.example.")).toBe("10.9.9.1");
    expect(asked).toEqual([`${via} a.corp.example`]);
    expect(suggested).toEqual([{ ip: ["10.9.9.1", "10.9.9.2"], route: via }]);
    expect(await resolver.isInteresting("10.9.9.2")).toBe(true);
    await resolver.resolve("a.corp.example");
    expect(suggested).toHaveLength(2);
  });

  it("suggests nothing of what the manifest leads elsewhere, and goes there", async () => {
    const elsewhere = ["192.168.95.7", "127.0.42.101"];
    const names = { toCidr: [], toHostnameGlob: ["*.other"], via: "127.0.42.101" };
    const { resolver, suggested } = resolverOf(
      { "a.other": ["192.168.95.7", "10.9.9.9"], "b.other": elsewhere },
      () => true,
      [...routes, names],
    );
    expect(await resolver.resolve("a.other")).toBe("192.168.95.7");
    expect(await resolver.resolve("b.other")).toBe("192.168.95.7");
    expect(suggested).toEqual([{ ip: ["10.9.9.9"], route: "127.0.42.101" }]);
  });

  it("goes nowhere for what every machine calls its own, nor suggests it", async () => {
    const { resolver, suggested } = resolverOf({
      "localhost.corp.example": ["127.0.0.1", "169.254.169.254"],
      "both.corp.example": ["127.0.0.1", "10.9.9.3"],
    });
    await expect(resolver.resolve("localhost.corp.example")).rejects.toThrow(
      '"localhost.corp.example" leads to 127.0.0.1, which no name may lead to behind 127.0.42.150',
    );
    expect(suggested).toEqual([]);
    expect(await resolver.resolve("both.corp.example")).toBe("10.9.9.3");
    expect(suggested).toEqual([{ ip: ["10.9.9.3"], route: via }]);
  });

  it("fails where the manager cannot be told of the route, and learns none until it can", async () => {
    let hasRoom = false;
    const answers = { "a.corp.example": ["10.9.9.1", "10.9.9.2"] };
    const { resolver } = resolverOf(answers, () => hasRoom);
    await expect(resolver.resolve("a.corp.example")).rejects.toThrow(
      'the manager cannot be told that "a.corp.example" (10.9.9.1, 10.9.9.2) lies behind 127.0.42.150',
    );
    expect(await resolver.isInteresting("10.9.9.1")).toBe(false);
    hasRoom = true;
    expect(await resolver.resolve("a.corp.example")).toBe("10.9.9.1");
    expect(await resolver.isInteresting("10.9.9.1")).toBe(true);
  });

  it("takes the first IPv4 address of the system else", async () => {
    const { resolver, suggested } = resolverOf({ inside: ["2001:db8::1", "192.168.95.9"] });
    expect(await resolver.resolve("inside")).toBe("192.168.95.9");
    expect(suggested).toEqual([]);
  });

  it.each(["b.corp.example", "six"])("%s has no address", async (name) => {
    const { resolver, suggested } = resolverOf({ six: ["2001:db8::1"] });
    await expect(resolver.resolve(name)).rejects.toMatchObject({ code: "name_not_found" });
    expect(suggested).toEqual([]);
  });

  it("learns and suggests a bounded number of addresses", async () => {
    const many = Array.from({ length: 300 }, (_, at) => `10.8.${at >> 8}.${at & 255}`);
    const { resolver, suggested } = resolverOf({ "m.corp.example": many });
    await resolver.resolve("m.corp.example");
    expect(suggested[0]?.ip).toHaveLength(64);
  });
});

it.each(["nope", "10.0.0.0", "10.0.0.0/33", "fd00::/129", "300.0.0.0/8"])(
  "a network %s is refused",
  (text) => {
    const broken = { hostnameMap, routes: [{ toCidr: [text], toHostnameGlob: [], via }] };
    expect(() => agentRouter(broken as unknown as ConfigureArgs)).toThrow(
      `invalid CIDR address: ${text}`,
    );
  },
);
