import { ConfigError } from "@culvert/runtime";
import { describe, expect, it } from "vitest";
import { ruleOf, type ExposeRequest } from "./expose-request.ts";

const services = new Map([
  ["web", { kind: "tcp" as const, host: "192.168.1.9", port: 80 }],
  ["ssh", { kind: "unix" as const, path: "/run/ssh.sock" }],
]);
const request: ExposeRequest = {
  service: "3000",
  name: "App.Example.com",
  port: undefined,
  tls: "relay",
  certFile: undefined,
  keyFile: undefined,
  ssh: undefined,
  proxyProtocol: "off",
  json: false,
};

describe("what culvert expose is asked for", () => {
  it.each([
    ["3000", { kind: "tcp", host: "127.0.0.1", port: 3000 }],
    ["nas.lan:8080", { kind: "tcp", host: "nas.lan", port: 8080 }],
    ["[::1]:80", { kind: "tcp", host: "::1", port: 80 }],
    ["unix:/run/app.sock", { kind: "unix", path: "/run/app.sock" }],
    ["web", { kind: "tcp", host: "192.168.1.9", port: 80 }],
  ])("%s leads to a service", (service, to) => {
    expect(ruleOf({ ...request, service }, { services })).toMatchObject({
      name: "app.example.com",
      port: 0,
      to,
    });
  });

  it("takes a port, a certificate and a place for ssh", () => {
    const asked = { ...request, name: undefined, port: 2222, tls: "local" as const };
    const files = { certFile: "c.pem", keyFile: "k.pem" };
    expect(ruleOf({ ...asked, ...files, ssh: "ssh" }, { services })).toMatchObject({
      name: "",
      port: 2222,
      certificate: files,
      ssh: { kind: "unix", path: "/run/ssh.sock" },
    });
  });

  it.each([
    [{ name: undefined }, /--name or --port/],
    [{ port: 80 }, /--name or --port/],
    [{ name: "evil,tcp" }, /not a public name/],
    [{ service: "nothing" }, /no port, host:port, unix:\/path or service.*web, ssh/],
    [{ service: "99999" }, /no port/],
    [{ tls: "local" as const }, /--cert and --key/],
    [{ certFile: "c.pem" }, /--tls local/],
  ])("%j is refused with words that help", (change, words) => {
    const refused = (): unknown => ruleOf({ ...request, ...change }, { services });
    expect(refused).toThrow(ConfigError);
    expect(refused).toThrow(words);
  });
});
