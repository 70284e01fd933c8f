import { describe, expect, test } from "vitest";
import { ProxyBypass } from "./http-proxy.ts";

describe("no_proxy", () => {
  const to = (host: string, port = 443): { host: string; port: number } => ({ host, port });

  test.each([
    ["*", "anything.example"],
    ["example.com", "example.com"],
    ["example.com", "a.b.example.com"],
    ["example.com", "EXAMPLE.com."],
    [".example.com", "a.example.com"],
    ["*.example.com", "a.example.com"],
    ["localhost,127.0.0.1", "127.0.0.1"],
    ["one.example two.example", "two.example"],
    ["10.0.0.0/8", "10.1.2.3"],
    ["2001:db8::/32", "2001:db8::7"],
    ["[2001:db8::1]", "2001:db8::1"],
    ["2001:db8::1", "2001:db8:0::1"],
    ["example.com:443", "example.com"],
    ["[2001:db8::1]:443", "2001:db8::1"],
  ])("%s lets %s past the proxy", (noProxy, host) => {
    expect(new ProxyBypass(noProxy).matches(to(host))).toBe(true);
  });

  test.each([
    ["", "example.com"],
    ["example.com", "badexample.com"],
    ["example.com", "example.com.evil.net"],
    ["example.com:8443", "example.com"],
    ["10.0.0.0/8", "11.0.0.1"],
    ["10.0.0.0/99", "10.0.0.1"],
    ["0.0.0.0/0", "some.name"],
    ["192.0.2.1", "192.0.2.10"],
    ["2001:db8::1", "2001:db8::10"],
  ])("%s sends %s through the proxy", (noProxy, host) => {
    expect(new ProxyBypass(noProxy).matches(to(host))).toBe(false);
  });
});
