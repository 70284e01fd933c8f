import { once } from "node:events";
import { request } from "node:http";
import { TransportError } from "@culvert/runtime";
import { duplexPair, within } from "@culvert/testkit";
import { expect, it, onTestFinished } from "vitest";
import { ServiceAgent } from "./service-agent.ts";

it.each([
  ["with an error", new TransportError("stream_reset", "the service reset"), /the service reset/],
  ["without one", undefined, /the service closed the connection/],
])(
  "a request fails whose connection was closed %s before the request came to it",
  async (_how, error, reason) => {
    const agent = new ServiceAgent(() => {
      const [ours] = duplexPair();
      ours.destroy(error);
      return Promise.resolve(ours);
    });
    onTestFinished(() => {
      agent.destroy();
    });
    for (const headers of [{ host: "a" }, { host: "a", connection: "Upgrade", upgrade: "x" }]) {
      const asked = request({ agent, headers });
      asked.end();
      const [failure] = (await within(once(asked, "error"), { what: "an error" })) as [Error];
      expect(failure.message).toMatch(reason);
    }
  },
);
