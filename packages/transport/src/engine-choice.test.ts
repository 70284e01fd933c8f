import { ConfigError } from "@culvert/runtime";
import { describe, expect, it } from "vitest";
import { chooseDialEngine, chooseListenEngine, type EnginePolicy } from "./engine-choice.ts";

const auto: EnginePolicy = { engine: "auto", datagramBytes: undefined, allowQuicheListener: false };
const here = (): boolean => true;
const missing = (): boolean => false;

describe("the engine for an address", () => {
  it.each([
    ["127.0.0.1", here, "quiche", 16_383],
    ["127.8.9.1", here, "quiche", 16_383],
    ["::1", here, "quiche", 16_383],
    ["192.0.2.1", here, "quinn", 1350],
    ["2001:db8::1", here, "quinn", 1350],
    ["192.0.2.1", missing, "quiche", 1350],
  ] as const)("auto dials %s by the right engine", (host, available, engine, datagramBytes) => {
    expect(chooseDialEngine(auto, host, available)).toEqual({ engine, datagramBytes });
  });

  it("obeys an engine and a datagram size that are configured", () => {
    const policy: EnginePolicy = { ...auto, engine: "quinn", datagramBytes: 1200 };
    expect(chooseDialEngine(policy, "127.0.0.1", here)).toEqual({
      engine: "quinn",
      datagramBytes: 1200,
    });
  });

  it("listens by quiche on loopback, and by quinn on every other address", () => {
    expect(chooseListenEngine(auto, "::1", here).engine).toBe("quiche");
    expect(chooseListenEngine(auto, "0.0.0.0", here).engine).toBe("quinn");
    expect(chooseListenEngine(auto, "::", here).engine).toBe("quinn");
  });

  it.each<[string, EnginePolicy, () => boolean]>([
    ["configured", { ...auto, engine: "quiche" }, here],
    ["all there is", auto, missing],
  ])("refuses a quiche listener off loopback where quiche is %s", (_why, policy, available) => {
    expect(() => chooseListenEngine(policy, "0.0.0.0", available)).toThrow(ConfigError);
    expect(() => chooseListenEngine(policy, "0.0.0.0", available)).toThrow(/allowQuicheListener/);
    const allowed = { ...policy, allowQuicheListener: true };
    expect(chooseListenEngine(allowed, "0.0.0.0", available).engine).toBe("quiche");
  });
});
