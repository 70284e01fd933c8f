import { describe, expect, it } from "vitest";
import { parseIpv4 } from "../router/ipv4.ts";
import type { RouterOptions } from "../router/router.ts";
import { PacketSwitch } from "./packet-switch.ts";

const [a, b, c] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map((text) => parseIpv4(text)!) as [
  number,
  number,
  number,
];
const wiki = parseIpv4("172.16.0.9")!;
const routes: RouterOptions = {
  hosts: ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
  routes: [{ via: "10.0.0.2", toCidr: [], toHostnameGlob: ["*.corp.example"] }],
};

function packet(source: number, destination: number): Uint8Array {
  const bytes = Buffer.alloc(20);
  bytes[0] = 0x45;
  bytes.writeUInt32BE(source, 12);
  bytes.writeUInt32BE(destination, 16);
  return bytes;
}

function connected(): PacketSwitch {
  const result = new PacketSwitch(routes);
  for (const vip of [a, b, c]) result.attach(vip, { deliver: () => undefined });
  return result;
}

/** Why a packet is dropped; `forwarded` where it is not. */
function sent(by: PacketSwitch, from: number, to: number, source = from): string {
  return by.forward(from, packet(source, to), 0) ?? "forwarded";
}

it("a packet to a host whose agent is away is dropped for another reason than one to nobody", () => {
  const packets = connected();
  packets.detach(b);
  expect(sent(packets, a, b)).toBe("agent_down");
  expect(sent(packets, a, wiki)).toBe("no_route");
});

describe("a suggested route", () => {
  it("leads the packets of whoever suggested it, and the answers to them, and no others", () => {
    const packets = connected();
    expect(packets.learn(a, wiki, b)).toBeUndefined();
    expect(sent(packets, a, wiki)).toBe("forwarded");
    expect(sent(packets, b, a, wiki)).toBe("forwarded");
    expect(sent(packets, c, wiki)).toBe("no_route");
    expect(sent(packets, b, c, wiki)).toBe("foreign_source");
    expect(sent(packets, c, a, wiki)).toBe("foreign_source");
    expect(packets.learnedCount).toBe(1);
  });

  it("is not that of another who suggests otherwise", () => {
    const packets = new PacketSwitch({
      ...routes,
      routes: [...routes.routes, { via: "10.0.0.3", toCidr: [], toHostnameGlob: ["*.x"] }],
    });
    for (const vip of [a, b, c]) packets.attach(vip, { deliver: () => undefined });
    packets.learn(a, wiki, b);
    packets.learn(b, wiki, c);
    expect(sent(packets, a, wiki)).toBe("forwarded");
    expect(packets.pairs).toEqual([{ from: a, to: b, packets: 1, bytes: 20 }]);
  });

  it("outlives its agent's restart, and is forgotten with the agent", () => {
    const packets = connected();
    packets.learn(a, wiki, b);
    packets.detach(a);
    packets.attach(a, { deliver: () => undefined });
    expect(sent(packets, a, wiki)).toBe("forwarded");
    packets.forget(a);
    expect(sent(packets, a, wiki)).toBe("no_route");
    packets.learn(a, wiki, b);
    packets.detach(a);
    packets.forget(a);
    expect(packets.learnedCount).toBe(0);
    expect(packets.learn(a, wiki, b)).toBe("unknown_via");
    expect(sent(packets, c, wiki)).toBe("no_route");
  });

  it("outlives another manifest only where the same names lie behind the same host", () => {
    const packets = connected();
    packets.learn(a, wiki, b);
    packets.replaceRoutes({ ...routes, hosts: [...routes.hosts, "10.0.0.4"] });
    expect(sent(packets, a, wiki)).toBe("forwarded");
    const [route] = routes.routes;
    packets.replaceRoutes({ ...routes, routes: [{ ...route!, toHostnameGlob: ["*.corp"] }] });
    expect(sent(packets, a, wiki)).toBe("no_route");
  });
});
