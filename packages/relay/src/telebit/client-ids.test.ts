import { millis } from "@culvert/runtime";
import { describe, expect, it } from "vitest";
import { ClientIds } from "./client-ids.ts";

const client = { family: "IPv6", address: "::ffff:192.0.2.1", port: 50_000 };

function bench() {
  const time = { nowMs: 0 };
  return { time, ids: new ClientIds({ now: () => millis(time.nowMs) }) };
}

describe("the id of a connection", () => {
  it("is the client's address, word by word", () => {
    const { ids } = bench();
    expect(ids.take(client)).toEqual({ ...client, port: "50000" });
  });

  it("has another port where the client's is in use, or was until just now", () => {
    const { ids, time } = bench();
    const first = ids.take(client)!;
    const second = ids.take(client)!;
    expect(second).toMatchObject({ family: client.family, address: client.address });
    expect(second.port).not.toBe("50000");
    expect(Number(second.port)).toBeLessThanOrEqual(65_535);
    ids.release(first);
    expect(ids.take(client)!.port).not.toBe("50000");
    time.nowMs = 60_000;
    expect(ids.take(client)!.port).toBe("50000");
  });

  it("is never given twice, and runs out in the end", () => {
    const { ids } = bench();
    const taken = new Set<string>();
    for (let id = ids.take(client); id !== undefined; id = ids.take(client)) {
      expect(taken.has(id.port)).toBe(false);
      taken.add(id.port);
    }
    expect(taken.size).toBe(256);
    expect(ids.take({ ...client, address: "::1" })).toBeDefined();
  });

  it("is forgotten in time, but not while it is in use", () => {
    const { ids } = bench();
    const kept = ids.take(client)!;
    for (let port = 1; port <= 9_000; port += 1)
      ids.release(ids.take({ ...client, address: "192.0.2.2", port })!);
    expect(ids.take({ ...client, address: "192.0.2.2", port: 1 })!.port).toBe("1");
    expect(ids.take({ ...client, address: "192.0.2.2", port: 9_000 })!.port).not.toBe("9000");
    expect(ids.take(client)!.port).not.toBe(kept.port);
  });
});
