import { WireError } from "@culvert/runtime";
import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeSocks4Reply, Socks4Decoder, Socks4Reply } from "./socks4-codec.ts";

const hex = (text: string): Uint8Array =>
  Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

test("SOCKS4: an address, a user, and the first bytes of the connection", () => {
  expect(new Socks4Decoder().push(hex("04 01 1f90 7f002a65 726f6f74 00  474554"))).toEqual({
    command: 1,
    host: "127.0.42.101",
    hostKind: "ipv4",
    port: 8080,
    destination: hex("1f90 7f002a65"),
    rest: hex("474554"),
  });
});

test("SOCKS4a: a name behind an address that is none", () => {
  expect(new Socks4Decoder().push(hex("04 01 0050 00000001 00 686f737431 00"))).toMatchObject({
    host: "host1",
    hostKind: "name",
    port: 80,
    rest: hex(""),
  });
});

test("0.0.0.0 is an address, and no sign of a name", () => {
  const request = new Socks4Decoder().push(hex("04 01 0050 00000000 00"));
  expect(request).toMatchObject({ host: "0.0.0.0", hostKind: "ipv4" });
});

test("answers repeat what was asked for", () => {
  const destination = hex("1f90 7f002a65");
  expect(encodeSocks4Reply(Socks4Reply.granted, destination)).toEqual(hex("00 5a 1f90 7f002a65"));
  expect(encodeSocks4Reply(Socks4Reply.rejected, destination)).toEqual(hex("00 5b 1f90 7f002a65"));
});

test.each([
  ["SOCKS5", hex("05 01 00"), "unsupported_version"],
  [
    "a user id without end",
    Uint8Array.from([4, 1, ...Array<number>(300).fill(1)]),
    "malformed_message",
  ],
  [
    "a name without end",
    Uint8Array.from([4, 1, 0, 80, 0, 0, 0, 1, 0, ...Array<number>(256).fill(1)]),
    "malformed_message",
  ],
])("%s is refused, and the decoder is dead", (_what, bytes, code) => {
  const decoder = new Socks4Decoder();
  expect(() => decoder.push(bytes)).toThrow(expect.objectContaining({ code }));
  expect(() => decoder.push(hex("00"))).toThrow(expect.objectContaining({ code: "decoder_dead" }));
});

const text = fc
  .uint8Array({ maxLength: 255 })
  .map((bytes) => bytes.map((byte) => (byte === 0 ? 1 : byte)));

test("whatever was said is read back in any pieces, and the rest belongs to the connection", () => {
  fc.assert(
    fc.property(
      fc.nat(255),
      fc.nat(65_535),
      text,
      text,
      fc.uint8Array({ maxLength: 100 }),
      (command, port, user, name, rest) => {
        const head = [4, command, port >> 8, port & 255, 0, 0, 0, 7, ...user, 0, ...name, 0];
        const decoder = new Socks4Decoder();
        for (const byte of head.slice(0, -1)) {
          expect(decoder.push(Uint8Array.of(byte))).toBeUndefined();
        }
        expect(decoder.push(Uint8Array.of(0, ...rest))).toMatchObject({
          command,
          port,
          host: Buffer.from(name).toString("latin1"),
          rest,
        });
      },
    ),
  );
});

test("any bytes give a request or a WireError, and nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const decoder = new Socks4Decoder();
      try {
        for (const byte of [4, ...bytes]) {
          if (decoder.push(Uint8Array.of(byte)) !== undefined) return;
        }
      } catch (error) {
        expect(error).toBeInstanceOf(WireError);
      }
    }),
  );
});
