import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { capturedPackets, fromHex } from "./captured-packets.test-data.ts";
import { checksumOf, sumBytes } from "./checksum.ts";
import { decodeIcmp, decodeQuotedPacket, encodeIcmp, icmpType } from "./icmp.ts";
import { formatIpv4Address, parseIpv4Address } from "./ipv4-address.ts";
import {
  allocateIpv4,
  decodeIpv4,
  ipProtocol,
  packetFaults,
  writeUint16,
  type Ipv4Packet,
} from "./ipv4.ts";
import { readTcpOptions, tcpOptionBytes } from "./tcp-options.ts";
import { decodeTcp, encodeTcp, tcpFlag } from "./tcp.ts";
import { decodeUdp, encodeUdp } from "./udp.ts";

const uint32 = fc.nat(0xffffffff);
const uint16 = fc.nat(0xffff);
const uint8 = fc.nat(0xff);

const ipHeader = fc.record({
  source: uint32,
  destination: uint32,
  typeOfService: uint8,
  identification: uint16,
  dontFragment: fc.boolean(),
  ttl: uint8,
});
const timestamps = fc.record({ value: uint32, echo: uint32 });
const synOptions = fc.record({
  mss: fc.option(uint16, { nil: undefined }),
  windowScale: fc.option(fc.nat(14), { nil: undefined }),
  sackPermitted: fc.constantFrom(true, undefined),
  timestamps: fc.option(timestamps, { nil: undefined }),
});
const ackOptions = fc.record({
  timestamps: fc.option(timestamps, { nil: undefined }),
  sack: fc.option(
    fc.array(fc.record({ start: uint32, end: uint32 }), { minLength: 1, maxLength: 3 }),
    {
      nil: undefined,
    },
  ),
});
const tcpHeader = fc.record({
  sourcePort: uint16,
  destinationPort: uint16,
  sequence: uint32,
  acknowledgment: uint32,
  flags: uint8,
  window: uint16,
  options: fc.oneof(synOptions, ackOptions),
});
const payload = fc.uint8Array({ maxLength: 300 });

describe("an IPv4 header", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(ipHeader, uint8, payload, (header, protocol, bytes) => {
        const packet = allocateIpv4(header, protocol, bytes.length);
        packet.set(bytes, 20);
        const read = whole(packet);
        expect(read).toMatchObject({ ...header, protocol, headerBytes: 20 });
        expect(Array.from(read.payload)).toEqual(Array.from(bytes));
      }),
    );
  });

  test("may have options, which are skipped", () => {
    const plain = fromHex(capturedPackets.data);
    const withOptions = new Uint8Array(plain.length + 8);
    withOptions.set(plain.subarray(0, 20));
    withOptions.set([0x94, 4, 0, 0, 1, 1, 1, 0], 20);
    withOptions.set(plain.subarray(20), 28);
    withOptions[0] = 0x47;
    writeUint16(withOptions, 2, withOptions.length);
    sealHeader(withOptions);
    expect(segmentOf(withOptions).payload).toHaveLength(89);
  });

  test("says how long the packet is: bytes after that are not payload", () => {
    const padded = new Uint8Array(100).fill(0xee);
    padded.set(fromHex(capturedPackets.ack));
    expect(segmentOf(padded).payload).toHaveLength(0);
  });

  test.each([
    ["nothing at all", "truncated", () => new Uint8Array(0)],
    ["19 bytes", "truncated", () => fromHex(capturedPackets.syn).subarray(0, 19)],
    ["fewer bytes than it says", "truncated", () => fromHex(capturedPackets.syn).subarray(0, 59)],
    ["IPv6", "not_ipv4", () => altered((bytes) => (bytes[0] = 0x65))],
    ["a header of 16 bytes", "bad_header", () => altered((bytes) => (bytes[0] = 0x44))],
    ["a total length within its header", "bad_header", () => altered((b) => writeUint16(b, 2, 19))],
    ["a header longer than itself", "bad_header", () => tooLongHeader()],
    ["a wrong header checksum", "bad_ip_checksum", () => altered((bytes) => (bytes[8] = 63))],
    ["a first fragment", "fragment", () => fragment(0x2000)],
    ["a last fragment", "fragment", () => fragment(0x0001)],
  ])("%s is refused as %s", (_, fault, make) => {
    expect(decodeIpv4(make())).toBe(fault);
  });

  test("does not grow past what IPv4 can carry", () => {
    expect(allocateIpv4({ source: 1, destination: 2 }, 6, 65_515)).toHaveLength(65_535);
    expect(() => allocateIpv4({ source: 1, destination: 2 }, 6, 65_516)).toThrow(RangeError);
  });
});

describe("a TCP segment", () => {
  test("is read as it was written, its payload of however many parts", () => {
    fc.assert(
      fc.property(ipHeader, tcpHeader, fc.array(payload, { maxLength: 3 }), (ip, header, parts) => {
        const read = segmentOf(encodeTcp(ip, header, parts));
        expect(read).toMatchObject(header);
        expect(Buffer.from(read.payload)).toEqual(Buffer.concat(parts));
        const optionsAgain = segmentOf(encodeTcp(ip, read)).options;
        expect(optionsAgain).toEqual(read.options);
      }),
    );
  });

  test("has options of a multiple of 4 bytes, at most 40", () => {
    const sack = Array.from({ length: 6 }, (_, at) => ({ start: at * 10, end: at * 10 + 5 }));
    expect(tcpOptionBytes({ sack })).toBe(36);
    expect(tcpOptionBytes({ sack, timestamps: { value: 1, echo: 2 } })).toBe(40);
    const header = {
      sourcePort: 1,
      destinationPort: 2,
      sequence: 3,
      acknowledgment: 4,
      flags: tcpFlag.ack,
      window: 5,
    };
    const ip = { source: 1, destination: 2 };
    const read = segmentOf(
      encodeTcp(ip, { ...header, options: { sack, timestamps: { value: 1, echo: 2 } } }),
    );
    expect(read.options.sack).toEqual(sack.slice(0, 3));
  });

  test("is refused when its checksum leaves the addresses out (RFC 9293 §3.1)", () => {
    const packet = altered((bytes) => writeUint16(bytes, 36, 0));
    writeUint16(packet, 36, checksumOf(sumBytes(packet, 20)));
    expect(decodeTcp(whole(packet))).toBe("bad_transport_checksum");
  });

  test.each([
    ["shorter than a header", "bad_transport_header", 19, (bytes: Uint8Array) => bytes],
    ["with a header of 16 bytes", "bad_transport_header", 40, offsetOf(4)],
    ["with a header past its end", "bad_transport_header", 40, offsetOf(11)],
    ["with a wrong checksum", "bad_transport_checksum", 20, offsetOf(5)],
  ])("%s is refused as %s", (_, fault, length, fill) => {
    const packet = allocateIpv4({ source: 1, destination: 2 }, ipProtocol.tcp, length);
    packet.fill(0, 20);
    packet[21] = 99;
    fill(packet);
    expect(decodeTcp(whole(packet))).toBe(fault);
  });

  test("is refused when any bit of it or of its addresses was flipped", () => {
    fc.assert(
      fc.property(fc.nat(125 * 8 - 1), (bit) => {
        const packet = fromHex(capturedPackets.data);
        const at = 12 + (bit >>> 3);
        packet[at] = (packet[at] ?? 0) ^ (1 << (bit & 7));
        sealHeader(packet);
        const ip = whole(packet);
        expect(packetFaults).toContain(decodeTcp(ip));
      }),
    );
  });
});

describe("TCP options", () => {
  test.each([
    ["an end mark ends them", [0, 3, 3, 7], {}],
    ["an unknown one is skipped", [253, 4, 9, 9, 3, 3, 7], { windowScale: 7 }],
    ["a length of 0 ends them", [3, 3, 7, 8, 0], { windowScale: 7 }],
    ["a length past the end ends them", [3, 3, 7, 2, 4, 1], { windowScale: 7 }],
    ["a kind without a length ends them", [3, 3, 7, 2], { windowScale: 7 }],
    ["a known one of a wrong length is skipped", [2, 3, 9, 4, 2], { sackPermitted: true }],
    ["a shift above 14 is 14", [3, 3, 200], { windowScale: 14 }],
    ["SACK of half a block is skipped", [5, 6, 0, 0, 0, 0, 4, 2], { sackPermitted: true }],
  ])("%s", (_, bytes, options) => {
    expect(readTcpOptions(Uint8Array.from(bytes), 0, bytes.length)).toEqual(options);
  });

  test("are read only within their bounds", () => {
    expect(readTcpOptions(Uint8Array.of(2, 4, 5, 6), 0, 3)).toEqual({});
  });
});

describe("a UDP datagram", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(ipHeader, uint16, uint16, payload, (ip, sourcePort, destinationPort, bytes) => {
        const packet = encodeUdp(ip, { sourcePort, destinationPort }, bytes);
        const read = decodeUdp(whole(packet));
        expect(read).toMatchObject({ sourcePort, destinationPort });
        expect(Array.from((read as { payload: Uint8Array }).payload)).toEqual(Array.from(bytes));
      }),
    );
  });

  test("never has the checksum 0, which would say that it has none", () => {
    // Ports that bring the sum to 0xffff, whose complement is 0.
    const ip = { source: 0, destination: 0 };
    const rest = 17 + 8 + 8;
    const packet = encodeUdp(ip, { sourcePort: 0xffff - rest, destinationPort: 0 }, none);
    expect([packet[26], packet[27]]).toEqual([0xff, 0xff]);
    expect(decodeUdp(whole(packet))).toMatchObject({ destinationPort: 0 });
  });

  test("without a checksum is taken, with a wrong one or a wrong length it is not", () => {
    const packet = encodeUdp({ source: 1, destination: 2 }, ports, Uint8Array.of(1, 2, 3));
    packet[30] = 77;
    expect(decodeUdp(whole(packet))).toBe("bad_transport_checksum");
    packet[26] = 0;
    packet[27] = 0;
    expect(decodeUdp(whole(packet))).toMatchObject(ports);
    writeUint16(packet, 24, 12);
    expect(decodeUdp(whole(packet))).toBe("bad_transport_header");
    writeUint16(packet, 24, 7);
    expect(decodeUdp(whole(packet))).toBe("bad_transport_header");
    const short = allocateIpv4({ source: 1, destination: 2 }, ipProtocol.udp, 7);
    expect(decodeUdp(whole(short))).toBe("bad_transport_header");
  });
});

describe("an ICMP message", () => {
  test("is read as it was written", () => {
    fc.assert(
      fc.property(ipHeader, uint8, uint8, uint32, payload, (ip, type, code, rest, body) => {
        const read = decodeIcmp(whole(encodeIcmp(ip, { type, code, rest, body })));
        expect(read).toMatchObject({ type, code, rest });
        expect(Array.from((read as { body: Uint8Array }).body)).toEqual(Array.from(body));
      }),
    );
  });

  test("is refused when too short or damaged", () => {
    const echo = { type: icmpType.echoRequest, code: 0, rest: 7, body: Uint8Array.of(1) };
    const packet = encodeIcmp({ source: 1, destination: 2 }, echo);
    packet[28] = 2;
    expect(decodeIcmp(whole(packet))).toBe("bad_transport_checksum");
    const short = allocateIpv4({ source: 1, destination: 2 }, ipProtocol.icmp, 7);
    expect(decodeIcmp(whole(short))).toBe("bad_transport_header");
  });

  test("quotes the packet it is about", () => {
    const packet = fromHex(capturedPackets.syn);
    expect(decodeQuotedPacket(packet.subarray(0, 28))).toEqual({
      source: 0x7f002a64,
      destination: 0x7f002a65,
      protocol: 6,
      sourcePort: 52_218,
      destinationPort: 8080,
      sequence: 0x52a695c5,
    });
    expect(decodeQuotedPacket(packet.subarray(0, 27))).toBeUndefined();
    expect(decodeQuotedPacket(none)).toBeUndefined();
    expect(decodeQuotedPacket(Uint8Array.of(0x65, ...packet.subarray(1)))).toBeUndefined();
  });
});

describe("hostile bytes", () => {
  test("are a packet or a fault, never an exception", () => {
    const random = fc.uint8Array({ maxLength: 120 });
    const damaged = fc
      .tuple(
        fc.constantFrom(...Object.values(capturedPackets)),
        fc.array(fc.tuple(fc.nat(140), uint8), { maxLength: 6 }),
        fc.nat(140),
        fc.constantFrom(1, 6, 17, 99),
      )
      .map(([hex, edits, cut, protocol]) => {
        const packet = fromHex(hex);
        for (const [at, value] of edits) packet[at] = value;
        packet[9] = protocol;
        const kept = packet.subarray(0, Math.max(cut, 20));
        writeUint16(kept, 2, kept.length);
        sealHeader(kept);
        return kept;
      });
    fc.assert(
      fc.property(fc.oneof(random, damaged), (bytes) => {
        const packet = decodeIpv4(bytes);
        if (typeof packet === "string") {
          expect(packetFaults).toContain(packet);
          return;
        }
        for (const decode of [decodeTcp, decodeUdp, decodeIcmp]) {
          const read = decode(packet);
          if (typeof read === "string") expect(packetFaults).toContain(read);
        }
        decodeQuotedPacket(packet.payload);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("an address", () => {
  test("is read as it is written", () => {
    fc.assert(
      fc.property(uint32, (address) => {
        expect(parseIpv4Address(formatIpv4Address(address))).toBe(address);
      }),
    );
  });

  test.each(["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "a.b.c.d", "::1"])(
    "%j is none",
    (text) => {
      expect(parseIpv4Address(text)).toBeUndefined();
    },
  );
});

const none = new Uint8Array(0);
const ports = { sourcePort: 5, destinationPort: 6 };

function whole(packet: Uint8Array): Ipv4Packet {
  const read = decodeIpv4(packet);
  if (typeof read === "string") throw new Error(read);
  return read;
}

function segmentOf(packet: Uint8Array) {
  const read = decodeTcp(whole(packet));
  if (typeof read === "string") throw new Error(read);
  return read;
}

function sealHeader(packet: Uint8Array): void {
  writeUint16(packet, 10, 0);
  const headerBytes = Math.min(((packet[0] ?? 0) & 0x0f) * 4, packet.length);
  writeUint16(packet, 10, checksumOf(sumBytes(packet, 0, headerBytes)));
}

function altered(change: (bytes: Uint8Array) => unknown): Uint8Array {
  const packet = fromHex(capturedPackets.syn);
  change(packet);
  return packet;
}

function tooLongHeader(): Uint8Array {
  const packet = altered((bytes) => (bytes[0] = 0x4f)).subarray(0, 40);
  writeUint16(packet, 2, 40);
  return packet;
}

function fragment(flagsAndOffset: number): Uint8Array {
  const packet = altered((bytes) => writeUint16(bytes, 6, flagsAndOffset));
  sealHeader(packet);
  return packet;
}

function offsetOf(words: number) {
  return (packet: Uint8Array) => {
    packet[32] = words << 4;
    return packet;
  };
}
