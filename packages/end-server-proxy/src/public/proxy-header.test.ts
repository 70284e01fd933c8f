import type { PublicOffer } from "@culvert/wire";
import { describe, expect, it } from "vitest";
import { proxyHeader } from "./proxy-header.ts";

function offerFrom(address: string, localAddress: string): PublicOffer {
  return {
    service: "tcp",
    name: "",
    servicePort: 443,
    remote: { family: address.includes(":") ? "IPv6" : "IPv4", address, port: 50_112 },
    localAddress,
    tlsEnded: false,
  };
}

const signature = "0d0a0d0a000d0a515549540a";

describe("the header of the PROXY protocol, version 2", () => {
  it.each([
    ["203.0.113.7", "192.0.2.1", "21" + "11" + "000c" + "cb007107" + "c0000201" + "c3c0" + "01bb"],
    ["203.0.113.7", "", "21" + "11" + "000c" + "cb007107" + "00000000" + "c3c0" + "01bb"],
    [
      "::ffff:203.0.113.7",
      "::ffff:192.0.2.1",
      "21" + "11" + "000c" + "cb007107" + "c0000201" + "c3c0" + "01bb",
    ],
    [
      "2001:db8::7",
      "2001:db8:0:1::1",
      "21" +
        "21" +
        "0024" +
        "20010db8000000000000000000000007" +
        "20010db8000000010000000000000001" +
        "c3c0" +
        "01bb",
    ],
    [
      "2001:db8::7",
      "192.0.2.1",
      "21" +
        "21" +
        "0024" +
        "20010db8000000000000000000000007" +
        "00000000000000000000ffffc0000201" +
        "c3c0" +
        "01bb",
    ],
    [
      "::1",
      "",
      "21" +
        "21" +
        "0024" +
        "00000000000000000000000000000001" +
        "00000000000000000000000000000000" +
        "c3c0" +
        "01bb",
    ],
  ])("tells of %s at %j", (remote, local, rest) => {
    const header = Buffer.from(proxyHeader(offerFrom(remote, local)));
    expect(header.toString("hex")).toBe(signature + rest);
  });
});
