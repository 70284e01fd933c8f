import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { freePort } from "./ports.ts";

it("ports that listeners are given are none that the kernel gives to a connection", async () => {
  const range = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8");
  const [lowest = 0, highest = 0] = range.trim().split(/\s+/).map(Number);
  for (let count = 0; count < 20; count += 1) {
    const port = await freePort([10, 11]);
    expect(port + 11 < lowest || port > highest, `${port} of ${lowest} to ${highest}`).toBe(true);
  }
});
