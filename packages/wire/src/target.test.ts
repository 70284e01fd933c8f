import { isIPv6 } from "node:net";
import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { ConfigError } from "@culvert/runtime";
import { canonicalIpv6, formatTarget, isIpv4, parseTarget } from "./index.ts";

describe("parseTarget", () => {
  it.each([
    ["ssh", { kind: "service", name: "ssh" }],
    ["vnc.desk-2", { kind: "service", name: "vnc.desk-2" }],
    ["5900", { kind: "port", port: 5900 }],
    ["192.168.1.9:80", { kind: "address", host: "192.168.1.9", port: 80 }],
    ["[fd00::1]:80", { kind: "address", host: "fd00::1", port: 80 }],
    ["printer.lan:631", { kind: "address", host: "printer.lan", port: 631 }],
    ["localhost:1", { kind: "address", host: "localhost", port: 1 }],
    ["1.example:65535", { kind: "address", host: "1.example", port: 65_535 }],
  ])("reads %s", (text, target) => {
    expect(parseTarget(text)).toEqual(target);
    expect(formatTarget(parseTarget(text))).toBe(text);
  });

  it.each([
    ["080", "80"],
    ["Printer.LAN:631", "printer.lan:631"],
    ["[FD00:0:0::1]:0080", "[fd00::1]:80"],
    ["[::FFFF:7f00:1]:22", "[::ffff:127.0.0.1]:22"],
  ])("brings %s to its canonical form %s", (text, canonical) => {
    expect(formatTarget(parseTarget(text))).toBe(canonical);
  });

  it.each([
    ["", "empty"],
    ["0", "1 to 65535"],
    ["65536", "1 to 65535"],
    ["host:", "1 to 65535"],
    ["host:0", "1 to 65535"],
    ["host:8o", "1 to 65535"],
    ["host:99999999999", "1 to 65535"],
    [":80", "neither"],
    ["a..b:80", "neither"],
    ["lan.:80", "neither"],
    ["-a.lan:80", "neither"],
    ["a b:80", "neither"],
    ["fd00::1:80", "[address]:port"],
    ["[fd00::1%eth0]:80", "brackets"],
    ["[192.168.1.9]:80", "brackets"],
    ["[]:80", "brackets"],
    ["[fd00::1]", "[address]:port"],
    ["127.1:80", "four numbers"],
    ["010.0.0.1:80", "four numbers"],
    ["256.0.0.1:80", "four numbers"],
    ["2130706433:80", "four numbers"],
    ["0x7f000001:80", "four numbers"],
    ["0x7f.0.0.0x1:80", "four numbers"],
    ["SSH", "lower case"],
    ["ssh\r\nx", "control"],
    [`${"a".repeat(64)}:80`, "neither"],
    [`${"abcdefg.".repeat(32)}com:80`, "259"],
    ["x".repeat(1_000), "1000"],
  ])("refuses %j and says why", (text, why) => {
    let thrown: unknown;
    try {
      parseTarget(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(ConfigError);
    expect(thrown).toMatchObject({ code: "bad_target" });
    expect((thrown as ConfigError).message).toContain(why);
    expect((thrown as ConfigError).message).toMatch(/^[\x20-\x7e…]{1,300}$/);
  });

  it("makes a canonical target or a ConfigError of any text", () => {
    const pieces = fc.array(
      fc.oneof(
        fc.constantFrom(":", "::", "[", "]", ".", "a", "0x", "80", "65536", "fd00"),
        fc.string(),
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        try {
          const target = parseTarget(parts.join(""));
          expect(parseTarget(formatTarget(target))).toEqual(target);
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
        }
      }),
      { numRuns: 5_000 },
    );
  });
});

describe("canonicalIpv6", () => {
  it.each([
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
    ["::ffff:C000:0201", "::ffff:192.0.2.1"],
  ])("writes %s as %s (RFC 5952)", (text, canonical) => {
    expect(canonicalIpv6(text)).toBe(canonical);
  });

  it.each(["", ":", ":::", "1", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "g::"])(
    "refuses %j",
    (text) => {
      expect(canonicalIpv6(text)).toBeUndefined();
    },
  );

  it("agrees with Node on what is an address, and is its own canonical form", () => {
    const group = fc.oneof(
      fc.constantFrom("0", "", "ffff", "1.2.3.4"),
      fc.stringMatching(/^[0-9a-fA-F]{1,5}$/),
    );
    const text = fc.oneof(
      fc.ipV6(),
      fc.array(group, { maxLength: 9 }).map((groups) => groups.join(":")),
    );
    fc.assert(
      fc.property(text, (address) => {
        const canonical = canonicalIpv6(address);
        expect(canonical !== undefined).toBe(isIPv6(address));
        if (canonical === undefined) return;
        expect(canonicalIpv6(canonical)).toBe(canonical);
        expect(new URL(`http://[${canonical}]`).hostname).toBe(
          new URL(`http://[${address}]`).hostname,
        );
      }),
      { numRuns: 5_000 },
    );
  });
});

describe("isIpv4", () => {
  it("knows the one canonical form", () => {
    expect(isIpv4("255.0.10.1")).toBe(true);
    for (const text of ["", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.x"]) {
      expect(isIpv4(text)).toBe(false);
    }
  });
});
