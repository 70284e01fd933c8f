import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { duplexPair, VirtualClock, within } from "@culvert/testkit";
import { millis } from "@culvert/runtime";
import { expect, it, onTestFinished } from "vitest";
import { DeviceAgent } from "./device-agent.ts";
import type { Exchange } from "./exchange.ts";
import { forwardRequest } from "./forward-request.ts";
import { forwardUpgrade } from "./forward-upgrade.ts";
import { PublicClient } from "./public-client.ts";
import { StreamGate } from "./stream-gate.ts";

// Node reads no such target from a client; what it writes is checked by other code of its own.
const unwritable = "/a b";

it("a request that cannot be written to a device fails, and is no fault of ours", async () => {
  const clock = new VirtualClock();
  const gate = new StreamGate(clock);
  const agent = new DeviceAgent(
    () => Promise.reject(new Error("not asked for")),
    gate,
    "192.0.2.1",
  );
  onTestFinished(() => {
    agent.destroy();
  });
  const outcome = await within(forwardRequest(exchangeFor(unwritable), agent, clock), {
    what: "the failure",
  });
  expect(outcome).toMatchObject({ status: undefined, error: { code: "ERR_UNESCAPED_CHARACTERS" } });
});

it("a WebSocket that cannot be asked for gives its turn and its stream back", async () => {
  const clock = new VirtualClock();
  const [stream] = duplexPair();
  let turns = 0;
  const socket = new Socket();
  const request = new IncomingMessage(socket);
  const response = new ServerResponse(request);
  const outcome = await within(
    forwardUpgrade(
      {
        ...{ exchange: exchangeFor(unwritable), request, response, socket },
        head: Buffer.alloc(0),
        opened: () => undefined,
      },
      {
        clock,
        limit: millis(1_000),
        turn: () => {
          turns += 1;
          return Promise.resolve({ end: () => (turns -= 1), cut: () => undefined });
        },
        open: () => Promise.resolve(stream),
      },
    ),
    { what: "the failure" },
  );
  expect(outcome).toMatchObject({ status: undefined, error: { code: "ERR_UNESCAPED_CHARACTERS" } });
  expect(turns).toBe(0);
  expect(stream.destroyed).toBe(true);
});

function exchangeFor(target: string): Exchange {
  const address = { address: "192.0.2.1", port: 40_000, family: "IPv4" } as const;
  return {
    client: new PublicClient(new Socket(), address, address),
    ...{ method: "GET", target, authority: "app.example.com", fault: undefined },
    ...{ rawFields: [], body: undefined, responded: false },
    respond: () => {
      throw new Error("nothing to say");
    },
    onClose: () => undefined,
    abort: () => undefined,
  };
}
