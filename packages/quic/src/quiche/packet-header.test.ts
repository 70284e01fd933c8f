import fc from "fast-check";
import { expect, test } from "vitest";
import { ownIdBytes, parsePacketHeader, shortHeaderId } from "./packet-header.ts";

const ids = { dcid: Buffer.from("0102030405060708", "hex"), scid: Buffer.from("a1a2a3", "hex") };

function longPacket(options: {
  first?: number;
  version?: number;
  dcid?: Buffer;
  scid?: Buffer;
  rest?: Buffer;
}): Buffer {
  const { first = 0xc0, version = 1, dcid = ids.dcid, scid = ids.scid } = options;
  const rest = options.rest ?? Buffer.concat([Buffer.from([0]), Buffer.alloc(20)]);
  const head = Buffer.alloc(5);
  head.writeUInt8(first, 0);
  head.writeUInt32BE(version, 1);
  return Buffer.concat([
    head,
    Buffer.from([dcid.length]),
    dcid,
    Buffer.from([scid.length]),
    scid,
    rest,
  ]);
}

test("an Initial with a token", () => {
  const token = Buffer.from("token");
  const rest = Buffer.concat([Buffer.from([token.length]), token, Buffer.alloc(30)]);
  const header = parsePacketHeader(longPacket({ rest }));
  expect(header).toMatchObject({ form: "long", version: 1, type: "initial", ...ids, token });
});

test.each([
  [1, 2],
  [2, 3],
])("an Initial with a token length of %d + 1 bytes", (extra, bytes) => {
  const token = Buffer.alloc(40, 7);
  const length = bytes === 2 ? Buffer.from([0x40, 40]) : Buffer.from([0x80, 0, 0, 40]);
  const header = parsePacketHeader(
    longPacket({ rest: Buffer.concat([length, token, Buffer.alloc(extra)]) }),
  );
  expect(header).toMatchObject({ token });
});

test("the other packet types of version 1 have no token", () => {
  for (const [first, type] of [
    [0xd0, "0rtt"],
    [0xe0, "handshake"],
    [0xf0, "retry"],
  ] as const) {
    expect(parsePacketHeader(longPacket({ first }))).toMatchObject({
      type,
      token: Buffer.alloc(0),
    });
  }
});

test("another version may have longer ids, and is not looked into", () => {
  const dcid = Buffer.alloc(200, 1);
  const header = parsePacketHeader(
    longPacket({ version: 0xbabababa, dcid, rest: Buffer.alloc(0) }),
  );
  expect(header).toMatchObject({ version: 0xbabababa, dcid, scid: ids.scid });
});

test("a short packet carries one of our ids", () => {
  const id = Buffer.alloc(ownIdBytes, 0xee);
  const packet = Buffer.concat([Buffer.from([0x45]), id, Buffer.alloc(30)]);
  expect(parsePacketHeader(packet)).toEqual({ form: "short", dcid: id });
  expect(shortHeaderId(packet)).toBe(id.toString("latin1"));
});

test.each([
  ["nothing", Buffer.alloc(0)],
  ["a short packet without the fixed bit", Buffer.alloc(100)],
  ["a short packet too small to protect", Buffer.concat([Buffer.from([0x40]), Buffer.alloc(35)])],
  ["a long packet cut in its version", Buffer.from([0xc0, 0, 0])],
  ["a long packet cut in its ids", longPacket({}).subarray(0, 12)],
  ["version 1 without the fixed bit", longPacket({ first: 0x80 })],
  ["version 1 with an id of 21 bytes", longPacket({ dcid: Buffer.alloc(21) })],
  ["a token longer than the datagram", longPacket({ rest: Buffer.from([0x7f, 0xff, 1, 2]) })],
  ["a token length of 8 bytes", longPacket({ rest: Buffer.from("c000000000000001aa", "hex") })],
])("not QUIC: %s", (_name, datagram) => {
  expect(parsePacketHeader(datagram)).toBeUndefined();
});

test("a short id is found exactly where the parser finds a short packet", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const datagram = Buffer.from(bytes);
      const header = parsePacketHeader(datagram);
      expect(shortHeaderId(datagram)).toBe(
        header?.form === "short" ? header.dcid.toString("latin1") : undefined,
      );
    }),
  );
});

test("any bytes give a header inside the datagram, or none", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 120 }),
      fc.constantFrom(undefined, 0xc0, 0xd0, 0x80, 0x40),
      (bytes, first) => {
        const datagram = Buffer.from(bytes);
        if (first !== undefined && datagram.length > 4) {
          datagram[0] = first;
          datagram.writeUInt32BE(1, 1);
        }
        const header = parsePacketHeader(datagram);
        if (header?.form !== "long") return;
        const { dcid, scid, token } = header;
        expect(7 + dcid.length + scid.length + token.length).toBeLessThanOrEqual(datagram.length);
      },
    ),
  );
});
