import { describe, expect, it } from "vitest";
import { duplexPair } from "@culvert/testkit";
import { systemClock } from "@culvert/runtime";
import { silentLog } from "@culvert/telemetry";
import { Bastion, type BastionOptions } from "./bastion.ts";

const me = "127.0.42.150";
const remote = { address: "127.0.42.101", port: 16_000 };

function bastionOf(options: BastionOptions) {
  const joined: string[] = [];
  const ends: (() => void)[] = [];
  const bastion = new Bastion(
    {
      log: silentLog,
      clock: systemClock,
      me,
      routes: [
        { toCidr: ["192.168.95.0/24", "nope"], toHostnameGlob: ["*.corp.example"], via: me },
        { toCidr: ["10.0.0.0/8"], toHostnameGlob: ["*"], via: "127.0.42.102" },
      ],
      join: (_stream, host, port) => {
        joined.push(`${host}:${port}`);
        return new Promise((resolve) => ends.push(resolve));
      },
    },
    options,
  );
  const claim = (address: string) => bastion.claim({ address, port: 80 }, remote);
  const isLet = (address: string): boolean => typeof claim(address) === "function";
  return { bastion, claim, isLet, joined, ends };
}

describe("which addresses are let through", () => {
  it("routes: those routed here and those on the list", () => {
    const { isLet } = bastionOf({ mode: "routes", allow: ["172.16.0.0/12"] });
    expect(["192.168.95.1", "172.16.1.1"].map(isLet)).toEqual([true, true]);
    expect(["10.0.0.1", "127.0.0.1", "192.168.96.1", "169.254.169.254"].some(isLet)).toBe(false);
  });

  it("routes: those that our own DNS gave for a name routed here", () => {
    const { bastion, isLet } = bastionOf({ mode: "routes" });
    bastion.learn("a.corp.example", ["10.9.9.9", "fd00::1"]);
    bastion.learn("elsewhere.example", ["10.9.9.8"]);
    expect(isLet("10.9.9.9")).toBe(true);
    expect(isLet("10.9.9.8")).toBe(false);
  });

  it.each(["127.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255"])(
    "routes: %s is not one of them, unless it is routed here or on the list",
    (address) => {
      const { bastion, isLet } = bastionOf({ mode: "routes" });
      bastion.learn("localhost.corp.example", [address, "10.9.9.9"]);
      expect(isLet(address)).toBe(false);
      expect(isLet("10.9.9.9")).toBe(true);
      expect(bastionOf({ mode: "routes", allow: [`${address}/32`] }).isLet(address)).toBe(true);
    },
  );

  it("routes: the oldest answers are forgotten beyond the bound", () => {
    const { bastion, isLet } = bastionOf({ mode: "routes" });
    bastion.learn("a.corp.example", ["172.31.0.1"]);
    const many = Array.from({ length: 4_096 }, (_, at) => `172.30.${at >> 8}.${at & 255}`);
    bastion.learn("a.corp.example", many);
    expect(isLet("172.31.0.1")).toBe(false);
    expect(isLet("172.30.15.255")).toBe(true);
  });

  it("any: all, as the original's agents", () => {
    const { isLet } = bastionOf({ mode: "any" });
    expect(["10.0.0.1", "127.0.0.1", "8.8.8.8"].every(isLet)).toBe(true);
  });

  it("off: those on the list alone", () => {
    const { bastion, isLet } = bastionOf({ mode: "off", allow: ["10.0.0.1/32"] });
    bastion.learn("a.corp.example", ["10.9.9.9"]);
    expect(isLet("10.0.0.1")).toBe(true);
    expect(["192.168.95.1", "10.9.9.9", "10.0.0.2"].some(isLet)).toBe(false);
  });

  it.each(["routes", "any", "off"] as const)("%s: a closed port of our own is reset", (mode) => {
    expect(bastionOf({ mode, allow: ["127.0.0.0/8"] }).claim(me)).toBe("reset");
  });
});

it("open connections are bounded, and count no more once they are closed", async () => {
  const { claim, joined, ends } = bastionOf({ mode: "any" });
  const open = (): void => {
    const verdict = claim("10.0.0.1");
    if (verdict !== "reset") verdict(duplexPair()[0]);
  };
  for (let count = 0; count < 4_097; count += 1) open();
  expect(joined).toHaveLength(4_096);
  expect(claim("10.0.0.1")).toBe("reset");
  ends[0]!();
  await new Promise((resolve) => setImmediate(resolve));
  expect(claim("10.0.0.1")).not.toBe("reset");
});
