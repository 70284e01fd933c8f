import { describe, expect, test } from "vitest";
import { capturedPackets, fromHex } from "./captured-packets.test-data.ts";
import { formatIpv4Address } from "./ipv4-address.ts";
import { decodeIpv4, type Ipv4Packet } from "./ipv4.ts";
import { decodeTcp, encodeTcp, tcpFlag, type TcpSegment } from "./tcp.ts";

describe("packets of a real connection", () => {
  test.each(Object.entries(capturedPackets))("%s is read and written byte for byte", (_, hex) => {
    const { ip, segment } = decode(hex);
    const written = encodeTcp(ip, segment, [segment.payload]);
    expect(Buffer.from(written).toString("hex")).toBe(hex);
  });

  test("the SYN says what it offers", () => {
    const { ip, segment } = decode(capturedPackets.syn);
    expect(formatIpv4Address(ip.source)).toBe("127.0.42.100");
    expect(formatIpv4Address(ip.destination)).toBe("127.0.42.101");
    expect(ip).toMatchObject({ ttl: 64, protocol: 6, dontFragment: false, identification: 0xe2d9 });
    expect(segment).toMatchObject({
      sourcePort: 52_218,
      destinationPort: 8080,
      sequence: 0x52a695c5,
      flags: tcpFlag.syn,
      window: 65_472,
      options: {
        mss: 65_495,
        windowScale: 6,
        sackPermitted: true,
        timestamps: { value: 0xd4582922, echo: 0 },
      },
    });
    expect(segment.payload).toHaveLength(0);
  });

  test("the data segment carries its request", () => {
    const { segment } = decode(capturedPackets.data);
    expect(segment.flags).toBe(tcpFlag.psh | tcpFlag.ack);
    expect(segment.window).toBe(16_384);
    expect(Buffer.from(segment.payload).toString()).toMatch(/^GET \/loopback HTTP\/1\.1\r\n/);
    expect(segment.payload).toHaveLength(89);
  });
});

function decode(hex: string): { ip: Ipv4Packet; segment: TcpSegment } {
  const ip = decodeIpv4(fromHex(hex));
  if (typeof ip === "string") throw new Error(ip);
  const segment = decodeTcp(ip);
  if (typeof segment === "string") throw new Error(segment);
  return { ip, segment };
}
