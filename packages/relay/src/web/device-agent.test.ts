import { once } from "node:events";
import { createServer, request as httpRequest, type ClientRequest } from "node:http";
import type { Duplex } from "node:stream";
import { duplexPair, VirtualClock, within } from "@culvert/testkit";
import { expect, it, onTestFinished } from "vitest";
import { DeviceAgent } from "./device-agent.ts";
import { StreamGate } from "./stream-gate.ts";

it("a stream that is used again is known to be, and gathers no listeners", async () => {
  const server = createServer((request, response) => response.end(request.url));
  const streams: Duplex[] = [];
  const open = (): Promise<Duplex> => {
    const [ours, theirs] = duplexPair();
    streams.push(ours);
    theirs.on("error", () => undefined);
    server.emit("connection", theirs);
    return Promise.resolve(ours);
  };
  const agent = new DeviceAgent(open, new StreamGate(new VirtualClock()), "192.0.2.1");
  onTestFinished(() => {
    agent.destroy();
  });
  const ask = async (): Promise<ClientRequest> => {
    const turn = await agent.turn(new AbortController().signal);
    const request = httpRequest({ agent, path: "/", setHost: false, headers: { host: "a" } });
    request.once("response", (response) => response.resume());
    request.end();
    await within(once(request, "close"), { what: "an answer" });
    turn.end();
    return request;
  };
  expect((await ask()).reusedSocket).toBe(false);
  expect((await ask()).reusedSocket).toBe(true);
  const listeners = streams[0]?.listenerCount("error");
  for (let count = 0; count < 5; count += 1) await ask();
  expect(streams).toHaveLength(1);
  expect(streams[0]?.listenerCount("error")).toBe(listeners);
});
