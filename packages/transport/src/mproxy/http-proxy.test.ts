import { describe, expect, test } from "vitest";
import { parseHttpProxy, ProxyBypass } from "./http-proxy.ts";

describe("https_proxy", () => {
  test.each([
    ["http://proxy.example:3128", { host: "proxy.example", port: 3128, tls: false }],
    ["proxy.example:3128", { host: "proxy.example", port: 3128, tls: false }],
    ["http://proxy.example/", { host: "proxy.example", port: 80, tls: false }],
    ["https://proxy.example", { host: "proxy.example", port: 443, tls: true }],
    ["http://[2001:db8::1]:8080", { host: "2001:db8::1", port: 8080, tls: false }],
    ["192.0.2.1:8080", { host: "192.0.2.1", port: 8080, tls: false }],
  ])("%s", (text, proxy) => {
    expect(parseHttpProxy(text)).toEqual(proxy);
  });

  test("user and password, with their escapes", () => {
    const { credentials } = parseHttpProxy("http://ann%40x:se%3Acret%25@proxy.example:3128");
    expect(credentials?.user).toBe("ann@x");
    expect(credentials?.reveal()).toBe("se:cret%");
  });

  test("a user alone has an empty password", () => {
    expect(parseHttpProxy("ann@proxy.example:1").credentials?.reveal()).toBe("");
  });

  test.each([
    "",
    "http://",
    "socks5://proxy.example:1080",
    "http://proxy.example:99999",
    "http://proxy.example:0",
    "http://proxy.example/path",
    "http://proxy.example?x",
    "http://a%3Ab:secret@proxy.example",
    "http://a:%zz@proxy.example",
  ])("%s is refused, without showing what may be a password", (text) => {
    const parse = (): unknown => parseHttpProxy(text);
    expect(parse).toThrow(expect.objectContaining({ name: "ConfigError", code: "bad_address" }));
    expect(parse).not.toThrow(/secret|%zz/);
  });
});

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
