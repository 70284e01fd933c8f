import { describe, expect, test } from "vitest";
import { VirtualClock } from "@culvert/testkit";
import {
  decodeIcmp,
  decodeIpv4,
  encodeIcmp,
  encodeUdp,
  icmpType,
  unreachableCode,
  type IcmpMessage,
  type Ipv4Packet,
  type QuotedPacket,
} from "../packet/index.ts";
import { IcmpResponder } from "./icmp-responder.ts";

const here = 0x7f002a65;
const there = 0x7f002a64;
const ping = { type: icmpType.echoRequest, code: 0, rest: 0x00070001, body: Buffer.from("abc") };

describe("ICMP", () => {
  test("an echo request to an own address is answered with what it carried", () => {
    const { icmp, sent } = setUp();
    expect(icmp.receive(whole(encodeIcmp({ source: there, destination: here }, ping)))).toBe(
      undefined,
    );
    expect(sent[0]?.packet).toMatchObject({ source: here, destination: there });
    expect(sent[0]?.message).toEqual({ ...ping, type: icmpType.echoReply });
  });

  test("one to another's address is not", () => {
    const { icmp, sent } = setUp();
    icmp.receive(whole(encodeIcmp({ source: here, destination: there }, ping)));
    expect(sent).toHaveLength(0);
    expect(icmp.counters.ignored).toBe(1);
  });

  test("an error quotes the beginning of the packet it is about", () => {
    const { icmp, sent } = setUp();
    const long = datagram(there, here, 1000);
    icmp.unreachable(long, unreachableCode.port);
    expect(sent[0]?.packet).toMatchObject({ source: here, destination: there });
    expect(sent[0]?.message).toMatchObject({ type: 3, code: 3, rest: 0 });
    expect(sent[0]?.message.body).toHaveLength(20 + 528);
    const quoted = sent[0]?.message.body;
    expect(Array.from(quoted?.subarray(20, 28) ?? [])).toEqual(
      Array.from(long.payload.subarray(0, 8)),
    );
  });

  test.each([
    ["ICMP", () => whole(encodeIcmp({ source: there, destination: here }, ping))],
    ["a broadcast", () => datagram(there, 0xffffffff)],
    ["a multicast", () => datagram(there, 0xe0000001)],
    ["a sender without an address", () => datagram(0, here)],
  ])("%s is never the cause of an error", (_, make) => {
    const { icmp, sent } = setUp();
    icmp.unreachable(make(), unreachableCode.port);
    expect(sent).toHaveLength(0);
  });

  test("errors have a rate", async () => {
    const { icmp, sent, clock } = setUp();
    for (let count = 0; count < 60; count++) icmp.unreachable(datagram(there, here), 3);
    expect(sent).toHaveLength(50);
    expect(icmp.counters).toMatchObject({ unreachablesSent: 50, errorsSuppressed: 10 });
    await clock.advance(7);
    for (let count = 0; count < 60; count++) icmp.unreachable(datagram(there, here), 3);
    expect(sent).toHaveLength(57);
  });

  test("an error about an own packet is handed on, one about another's is not", () => {
    const { icmp, heard } = setUp();
    const about = (source: number, destination: number) =>
      whole(
        encodeIcmp(
          { source: destination, destination: source },
          { type: icmpType.unreachable, code: 3, rest: 0, body: bytesOf(source, destination) },
        ),
      );
    icmp.receive(about(here, there));
    icmp.receive(about(there, here));
    expect(heard).toEqual([
      [expect.objectContaining({ source: here, destination: there, sourcePort: 1 }), 3],
    ]);
  });

  test("an error that quotes nothing is ignored, a damaged one is a fault", () => {
    const { icmp, heard } = setUp();
    const broken = { type: icmpType.unreachable, code: 3, rest: 0, body: new Uint8Array(27) };
    const packet = whole(encodeIcmp({ source: there, destination: here }, broken));
    expect(icmp.receive(packet)).toBeUndefined();
    packet.payload[1] = 9;
    expect(icmp.receive(packet)).toBe("bad_transport_checksum");
    expect(heard).toHaveLength(0);
  });
});

function setUp() {
  const clock = new VirtualClock();
  const sent: { packet: Ipv4Packet; message: IcmpMessage }[] = [];
  const heard: [QuotedPacket, number][] = [];
  const icmp = new IcmpResponder({
    clock,
    output: (bytes) => {
      const packet = whole(bytes);
      const message = decodeIcmp(packet);
      if (typeof message === "string") throw new Error(message);
      sent.push({ packet, message });
    },
    isOwnAddress: (address) => address === here,
    onUnreachable: (quoted, code) => heard.push([quoted, code]),
  });
  return { icmp, sent, heard, clock };
}

function bytesOf(source: number, destination: number, length = 10): Uint8Array {
  const ports = { sourcePort: 1, destinationPort: 2 };
  return encodeUdp({ source, destination }, ports, new Uint8Array(length));
}

function datagram(source: number, destination: number, length = 10): Ipv4Packet {
  return whole(bytesOf(source, destination, length));
}

function whole(packet: Uint8Array): Ipv4Packet {
  const read = decodeIpv4(packet);
  if (typeof read === "string") throw new Error(read);
  return read;
}
