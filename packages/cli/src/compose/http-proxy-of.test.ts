import { Secret, type ProxyChoice } from "@culvert/config";
import { describe, expect, test } from "vitest";
import { httpProxyOf } from "./http-proxy-of.ts";

const relay = { host: "relay.example.com", port: 443 };
const auto: ProxyChoice = { kind: "environment" };
const proxy = { host: "proxy.lan", port: 3128 };

describe("auto", () => {
  test.each([
    [{}, undefined],
    [{ https_proxy: "" }, undefined],
    [{ https_proxy: "http://proxy.lan:3128" }, proxy],
    [{ https_proxy: "proxy.lan:3128" }, proxy],
    [{ HTTPS_PROXY: "http://proxy.lan:3128/" }, proxy],
    [{ https_proxy: "http://proxy.lan:3128", HTTPS_PROXY: "http://other:1" }, proxy],
    [{ https_proxy: "http://proxy.lan" }, { ...proxy, port: 80 }],
    [{ https_proxy: "http://[2001:db8:0::1]:3128" }, { host: "2001:db8::1", port: 3128 }],
    [{ https_proxy: "http://proxy.lan:3128", no_proxy: "other.example,.example.com" }, undefined],
    [{ https_proxy: "http://proxy.lan:3128", NO_PROXY: "*" }, undefined],
    [{ http_proxy: "http://proxy.lan:3128" }, undefined],
  ])("%o leads through %o", (env, address) => {
    expect(httpProxyOf(auto, relay, env)?.address).toEqual(address);
  });

  test.each(["localhost", "127.0.0.1", "::1"])("%s is reached without", (host) => {
    const env = { https_proxy: "http://proxy.lan:3128" };
    expect(httpProxyOf(auto, { host, port: 443 }, env)).toBeUndefined();
  });

  test("a proxy that is none is refused without showing its password", () => {
    for (const https_proxy of [
      "socks5://me:hunter2@proxy.lan",
      "https://me:hunter2@x",
      "http://",
    ]) {
      const ask = (): unknown => httpProxyOf(auto, relay, { https_proxy });
      expect(ask).toThrow(/^https_proxy of the environment is not an HTTP proxy/);
      expect(ask).not.toThrow(/hunter2/);
    }
  });

  test("user and password go along, decoded", () => {
    const env = { https_proxy: "http://me:p%40ss@proxy.lan:3128" };
    expect(httpProxyOf(auto, relay, env)?.credentials?.reveal()).toBe("me:p@ss");
  });
});

test("what the configuration says goes before the environment", () => {
  const env = { https_proxy: "http://other.lan:1", no_proxy: "*" };
  expect(httpProxyOf({ kind: "none" }, relay, env)).toBeUndefined();
  const choice: ProxyChoice = { kind: "http", address: proxy, credentials: new Secret("a:b") };
  expect(httpProxyOf(choice, { host: "localhost", port: 1 }, env)).toBe(choice);
});
