import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { systemClock, systemRandom } from "@culvert/runtime";
import { afterEach, expect, test } from "vitest";
import { roundTrip } from "./round-trip.ts";

let server: Server;

afterEach(() => void server.close());

async function serve(answer: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    answer(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
}

const deps = { clock: systemClock, random: systemRandom };

test("what comes back equal is counted and timed", async () => {
  const address = await serve((socket) => socket.pipe(socket));
  const result = await roundTrip(deps, address, 1_000_001);
  expect(result).toMatchObject({ bytes: 1_000_001 });
  expect(result.sha256).toMatch(/^[0-9a-f]{64}$/);
  expect(result.seconds).toBeGreaterThan(0);
});

test("other bytes, too few bytes or a reset are failures", async () => {
  const changed = await serve((socket) => {
    socket.on("data", (chunk: Buffer) => socket.write(chunk.fill(0, 0, 1)));
    socket.on("end", () => socket.end());
  });
  await expect(roundTrip(deps, changed, 200_000)).rejects.toMatchObject({ code: "refused" });
  server.close();
  const short = await serve((socket) => socket.resume().end("x"));
  await expect(roundTrip(deps, short, 1_000)).rejects.toThrow(/sent 1000 bytes .* got 1 with/);
  server.close();
  const reset = await serve((socket) => socket.once("data", () => socket.resetAndDestroy()));
  await expect(roundTrip(deps, reset, 1_000_000)).rejects.toThrow();
});
