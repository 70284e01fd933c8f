import { WireError } from "@culvert/runtime";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodeMethod,
  encodePasswordResult,
  encodeReply,
  Socks5Decoder,
  SocksMethod,
  SocksReply,
  type SocksMessage,
} from "./socks5-codec.ts";

const only = (requirePassword: boolean) => ({
  methods: [requirePassword ? SocksMethod.password : SocksMethod.none],
});

const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

function decodeAll(chunks: readonly Uint8Array[], requirePassword = false): SocksMessage[] {
  const decoder = new Socks5Decoder(only(requirePassword));
  return chunks.flatMap((chunk) => decoder.push(chunk.slice()));
}

describe("golden bytes", () => {
  test("greeting, then a request by name", () => {
    // version 5, one method: none | version 5, CONNECT, reserved, name, "lan-box" of 7 bytes, port 22, first bytes of the connection
    const bytes = hex("05 01 00  05 01 00 03 07 6c616e2d626f78 0016  535348");
    expect(decodeAll([bytes])).toEqual([
      { kind: "greeting", methods: [0], chosen: SocksMethod.none },
      {
        kind: "request",
        command: 1,
        host: "lan-box",
        hostKind: "name",
        port: 22,
        destination: hex("03 07 6c616e2d626f78 0016"),
        rest: hex("535348"),
      },
    ]);
  });

  test("greeting, credentials, then a request for an IPv4 address", () => {
    const bytes = hex("05 02 00 02  01 01 61 02 6263  05 01 00 01 c0a80109 0050");
    expect(decodeAll([bytes], true)).toMatchObject([
      { kind: "greeting", methods: [0, 2], chosen: SocksMethod.password },
      { kind: "credentials", user: hex("61"), password: hex("6263") },
      { kind: "request", host: "192.168.1.9", hostKind: "ipv4", port: 80 },
    ]);
  });

  test("a request for an IPv6 address", () => {
    const bytes = hex("05 01 00  05 03 00 04 20010db8000000000000000000000001 ffff");
    expect(decodeAll([bytes])[1]).toMatchObject({
      command: 3,
      host: "2001:db8:0:0:0:0:0:1",
      hostKind: "ipv6",
      port: 65_535,
    });
  });

  test("a name is handed on as it is", () => {
    const bytes = hex("05 01 00  05 01 00 03 04 00 ff 41 20 0016");
    expect(decodeAll([bytes])[1]).toMatchObject({ host: "\u0000\u00ffA ", hostKind: "name" });
  });

  test("answers", () => {
    expect(encodeMethod(SocksMethod.password)).toEqual(hex("05 02"));
    expect(encodePasswordResult(true)).toEqual(hex("01 00"));
    expect(encodePasswordResult(false)).toEqual(hex("01 01"));
    expect(encodeReply(SocksReply.connectionRefused)).toEqual(hex("05 05 00 01 00000000 0000"));
    const bound = hex("03 01 61 0016");
    expect(encodeReply(SocksReply.succeeded, bound)).toEqual(hex("05 00 00 03 01 61 0016"));
  });
});

test.each([
  ["password required, only none offered", "05 01 00", true],
  ["nothing required, only password offered", "05 01 02", false],
  ["no method offered", "05 00", false],
])("%s: unacceptable, and the handshake is over", (_what, bytes, requirePassword) => {
  const decoder = new Socks5Decoder(only(requirePassword));
  expect(decoder.push(hex(bytes))).toMatchObject([{ chosen: SocksMethod.unacceptable }]);
  expect(() => decoder.push(hex("05"))).toThrow(expect.objectContaining({ code: "decoder_dead" }));
});

test("of what the client offers, the server's first is chosen", () => {
  const decoder = new Socks5Decoder({ methods: [SocksMethod.password, SocksMethod.none] });
  expect(decoder.push(hex("05 02 00 02"))).toMatchObject([{ chosen: SocksMethod.password }]);
  const other = new Socks5Decoder({ methods: [SocksMethod.password, SocksMethod.none] });
  expect(other.push(hex("05 01 00"))).toMatchObject([{ chosen: SocksMethod.none }]);
});

test.each([
  ["SOCKS 4", "04 01", false, "unsupported_version"],
  ["HTTP", "43 4f 4e", false, "unsupported_version"],
  ["TLS", "16 03 01", false, "unsupported_version"],
  ["another version in the request", "05 01 00 04", false, "unsupported_version"],
  ["another version of the credentials", "05 01 02 05", true, "malformed_message"],
  ["an unknown address type", "05 01 00 05 01 00 02 00", false, "malformed_message"],
])("%s is refused, and the decoder is dead", (_what, bytes, requirePassword, code) => {
  const decoder = new Socks5Decoder(only(requirePassword));
  expect(() => decoder.push(hex(bytes))).toThrow(expect.objectContaining({ code }));
  expect(() => decoder.push(hex("00"))).toThrow(expect.objectContaining({ code: "decoder_dead" }));
});

const handshakes = fc
  .record({
    requirePassword: fc.boolean(),
    methods: fc.uint8Array({ maxLength: 255 }),
    user: fc.uint8Array({ maxLength: 255 }),
    password: fc.uint8Array({ maxLength: 255 }),
    command: fc.nat(255),
    name: fc.uint8Array({ maxLength: 255 }).map((name) => Buffer.from(name).toString("latin1")),
    port: fc.nat(65_535),
    rest: fc.uint8Array({ maxLength: 1000 }),
  })
  .map((parts) => {
    const { requirePassword, methods, user, password, command, name, port, rest } = parts;
    const wanted = requirePassword ? SocksMethod.password : SocksMethod.none;
    const offered = [...methods.slice(0, 254), wanted];
    const bytes = Uint8Array.from([
      5,
      offered.length,
      ...offered,
      ...(requirePassword ? [1, user.length, ...user, password.length, ...password] : []),
      ...[5, command, 0, 3, name.length, ...Buffer.from(name, "latin1"), port >> 8, port & 255],
      ...rest,
    ]);
    return { ...parts, bytes };
  });

test("whatever was said is read back, and the rest belongs to the connection", () => {
  fc.assert(
    fc.property(handshakes, ({ bytes, requirePassword, user, password, ...said }) => {
      const messages = decodeAll([bytes], requirePassword);
      expect(messages.at(-1)).toMatchObject({
        kind: "request",
        command: said.command,
        host: said.name,
        port: said.port,
        rest: said.rest,
      });
      if (requirePassword) expect(messages[1]).toMatchObject({ user, password });
    }),
  );
});

test("any split of the bytes gives the same messages", () => {
  fc.assert(
    fc.property(handshakes, fc.array(fc.nat(), { maxLength: 20 }), (handshake, cuts) => {
      const { bytes, requirePassword, rest } = handshake;
      const length = bytes.length - rest.length;
      const at = [0, ...cuts.map((cut) => cut % length).sort((a, b) => a - b), bytes.length];
      const chunks = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
      expect(decodeAll(chunks, requirePassword)).toEqual(decodeAll([bytes], requirePassword));
    }),
  );
});

test("random and damaged bytes give messages or a WireError, and nothing else", () => {
  const damaged = fc
    .tuple(handshakes, fc.nat(), fc.nat(255), fc.nat())
    .map(([{ bytes }, at, value, end]) => {
      const copy = bytes.slice(0, 1 + (end % bytes.length));
      copy[at % copy.length] = value;
      return copy;
    });
  const anyBytes = fc.oneof(fc.uint8Array({ maxLength: 600 }), damaged);
  fc.assert(
    fc.property(anyBytes, fc.boolean(), (bytes, requirePassword) => {
      const decoder = new Socks5Decoder(only(requirePassword));
      try {
        for (const byte of bytes) decoder.push(Uint8Array.of(byte));
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
    }),
    { numRuns: 1000 },
  );
});

test("no incomplete message is longer than 520 bytes", () => {
  const decoder = new Socks5Decoder(only(true));
  let messages = 0;
  // The longest of each kind, so that any byte held beyond the bound would show as a message that does not come.
  const longest = [
    [5, 255, ...Array<number>(255).fill(2)],
    [1, 255, ...Array<number>(255).fill(7), 255, ...Array<number>(255).fill(7)],
    [5, 1, 0, 3, 255, ...Array<number>(255).fill(0x61), 0, 22],
  ];
  for (const message of longest) {
    expect(message.length).toBeLessThan(520);
    for (const byte of message) messages += decoder.push(Uint8Array.of(byte)).length;
  }
  expect(messages).toBe(3);
});
