import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { endpointOf, endpointUrl } from "./discovery.ts";

const relay = { tls: true, host: "telebit.example.com", port: 8443 };

describe("the discovery document", () => {
  it.each([
    [
      { api_host: ":hostname:18443", tunnel: { method: "wss", pathname: "" } },
      "wss://telebit.example.com:18443/",
    ],
    [
      { api_host: ":hostname", tunnel: { method: "wss", pathname: "" } },
      "wss://telebit.example.com:8443/",
    ],
    [
      { api_host: "other.example.net:443", tunnel: { method: "wss", pathname: "/ws" } },
      "wss://other.example.net/ws",
    ],
    [undefined, "wss://telebit.example.com:8443/"],
    [{ api_host: 5, tunnel: null }, "wss://telebit.example.com:8443/"],
    [
      { api_host: "evil host/@x", tunnel: { pathname: "a b\r\n" } },
      "wss://telebit.example.com:8443/",
    ],
  ])("%j leads to %s", (document, url) => {
    expect(endpointUrl(endpointOf(relay, document))).toBe(url);
  });

  it("never takes TLS away that the configuration has, and may add it", () => {
    expect(endpointOf(relay, { tunnel: { method: "ws" } }).tls).toBe(true);
    const plain = { tls: false, host: "::1", port: 80 };
    expect(endpointUrl(endpointOf(plain, {}))).toBe("ws://[::1]/");
    expect(endpointUrl(endpointOf(plain, { tunnel: { method: "wss" } }))).toBe("wss://[::1]:80/");
  });

  it("of any shape gives a URL of the wanted scheme", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string(), fc.string(), (value, host, path) => {
        for (const document of [
          value,
          { api_host: host, tunnel: { method: "ws", pathname: path } },
        ]) {
          const url = new URL(endpointUrl(endpointOf(relay, document)));
          expect(url.protocol).toBe("wss:");
          expect(url.username + url.search + url.hash).toBe("");
        }
      }),
    );
  });
});
