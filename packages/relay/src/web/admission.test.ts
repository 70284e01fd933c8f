import fc from "fast-check";
import { expect, it } from "vitest";
import { addressKey, Admission } from "./admission.ts";
import { webLimitDefaults } from "./web-options.ts";

it("bounds connections in all and for each address, and handshakes within them", () => {
  const admission = new Admission({
    ...webLimitDefaults,
    connections: 4,
    connectionsPerAddress: 3,
    handshakes: 3,
    handshakesPerAddress: 2,
  });
  const enter = (address: string) => {
    const admitted = admission.admit(address);
    if (typeof admitted === "string") throw new Error(admitted);
    return admitted;
  };
  const a = [enter("192.0.2.1"), enter("192.0.2.1")];
  expect(admission.admit("192.0.2.1")).toBe("handshakesPerAddress");
  enter("192.0.2.2");
  expect(admission.admit("192.0.2.3")).toBe("handshakes");
  a[0]?.settled();
  a[0]?.settled();
  expect(admission.handshakes).toBe(2);
  const third = enter("192.0.2.1");
  expect(admission.admit("192.0.2.9")).toBe("connections");
  third.gone();
  third.gone();
  expect([admission.connections, admission.handshakes]).toEqual([3, 2]);
});

it("never counts below nought, whatever order connections settle and go in", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(3), fc.nat(2))), (steps) => {
      const admission = new Admission(webLimitDefaults);
      const inside = new Map<number, ReturnType<Admission["admit"]>>();
      for (const [who, what] of steps) {
        const guest = inside.get(who);
        if (guest === undefined) inside.set(who, admission.admit(`192.0.2.${who}`));
        else if (typeof guest === "string") throw new Error("a limit out of reach");
        else if (what === 0) guest.settled();
        else {
          guest.gone();
          inside.delete(who);
        }
        expect(admission.connections).toBe(inside.size);
        expect(admission.handshakes).toBeLessThanOrEqual(inside.size);
        expect(admission.handshakes).toBeGreaterThanOrEqual(0);
      }
    }),
  );
});

it("an IPv6 address counts by its /64, and IPv4 in IPv6 as IPv4", () => {
  expect(addressKey("2001:db8:1:2:3::4")).toBe(addressKey("2001:db8:1:2:ffff::1"));
  expect(addressKey("2001:db8:1:2::1")).not.toBe(addressKey("2001:db8:1:3::1"));
  expect(addressKey("::ffff:192.0.2.1")).toBe("192.0.2.1");
  expect(addressKey("fe80::1%eth0")).toBe(addressKey("fe80::2"));
  expect(addressKey("::1")).toBe("0:0:0:0::/64");
});
