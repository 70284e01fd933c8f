import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireError } from "@culvert/runtime";
import { ClientHelloReader, type ClientHello } from "./client-hello.ts";

/** Bytes that real clients sent, and what they were told to ask for. */
const captured = JSON.parse(
  readFileSync(new URL("../vectors/client-hellos.json", import.meta.url), "utf8"),
) as { client: string; serverName: string | null; alpn: string[]; hex: string }[];

describe("the ClientHello of a real client", () => {
  for (const { client, serverName, alpn, hex } of captured) {
    it(`${client} is read, whole and byte by byte`, () => {
      const bytes = Buffer.from(hex, "hex");
      const expected = { serverName: serverName ?? undefined, alpn };
      expect(new ClientHelloReader().push(bytes)).toEqual(expected);
      expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(expected);
    });
  }

  it("is read alike however it is split over segments and TLS records", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...captured),
        fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 600 }), { maxLength: 12 }),
        ({ hex, serverName, alpn }, records, segments) => {
          const handshake = Buffer.from(hex, "hex").subarray(5);
          const stream = Buffer.concat(
            cut(handshake, records).map((part) => Buffer.concat([recordHeader(part.length), part])),
          );
          expect(read(cut(stream, segments))).toEqual({
            serverName: serverName ?? undefined,
            alpn,
          });
        },
      ),
      { numRuns: 500 },
    );
  });

  it("cut short anywhere is no hello yet, and no error", () => {
    for (const { hex } of captured) {
      const bytes = Buffer.from(hex, "hex");
      for (let length = 0; length < bytes.length; length += 1) {
        expect(new ClientHelloReader().push(bytes.subarray(0, length))).toBeUndefined();
      }
    }
  });

  it("changed in any byte is read or refused with the typed error, and nothing else is thrown", () => {
    fc.assert(
      fc.property(fc.constantFrom(...captured), fc.nat(), fc.nat(255), ({ hex }, at, value) => {
        const bytes = Buffer.from(hex, "hex");
        bytes[at % bytes.length] = value;
        onlyWireErrors(() => new ClientHelloReader().push(bytes));
      }),
      { numRuns: 2_000 },
    );
  });
});

it("random bytes are refused with the typed error, and nothing else is thrown", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 40 }), (chunks) => {
      onlyWireErrors(() => read(chunks));
      onlyWireErrors(() => read([recordHeader(600), Uint8Array.of(1, 0, 1, 0), ...chunks]));
    }),
    { numRuns: 1_000 },
  );
});

it("the name is lower case, and the dot of the root is not part of it", () => {
  expect(helloFor("WWW.Example.COM.")?.serverName).toBe("www.example.com");
});

it("an address is no name", () => {
  expect(helloFor("192.0.2.7")).toMatchObject({ serverName: undefined });
  expect(helloFor("2001:db8::1")).toMatchObject({ serverName: undefined });
});

for (const [what, name] of [
  ["a comma", "evil,tcp,.a.example.com"],
  ["a line end", "a.example.com\r\nx: y"],
  ["a zero byte", "a.example.com\0.evil.example"],
  ["a space", "a .example.com"],
  ["a letter beyond ASCII", "\xfc.example.com"],
  ["an empty label", "a..example.com"],
  ["a label of 64 characters", `${"a".repeat(64)}.example.com`],
  ["254 characters", `${"a.".repeat(121)}example.com.x`],
  [
    "227 characters in one label, which overflowed a header elsewhere",
    `${"a".repeat(213)}.a.example.com`,
  ],
  ["an asterisk", "*.example.com"],
  ["nothing", ""],
] as const) {
  it(`a name with ${what} is refused`, () => {
    expect(() => helloFor(name)).toThrow(WireError);
  });
}

it("two names are refused, in one list and in two extensions", () => {
  const one = entry("a.example.com");
  expect(() => parse([[0, list(Buffer.concat([one, entry("b.example.com")]))]])).toThrow(WireError);
  expect(() =>
    parse([
      [0, list(one)],
      [0, list(one)],
    ]),
  ).toThrow(/twice/);
});

it("a hello over the limit ends at its header, and one that trickles in tiny records at the limit", () => {
  const announced = Buffer.concat([recordHeader(16_384), Buffer.from([1, 0xff, 0xff, 0xff])]);
  expect(() => new ClientHelloReader().push(announced)).toThrow(
    expect.objectContaining({ code: "frame_too_large" }),
  );
  const reader = new ClientHelloReader({ maxBytes: 1_024 });
  reader.push(Buffer.concat([recordHeader(4), Buffer.from([1, 0, 3, 0xff])]));
  let pushed = 9;
  expect(() => {
    for (; pushed < 2_000; pushed += 6) {
      reader.push(Buffer.concat([recordHeader(1), Buffer.from([0])]));
    }
  }).toThrow(expect.objectContaining({ code: "frame_too_large" }));
  expect(pushed).toBeLessThanOrEqual(1_024);
});

it("a reader is dead after its hello and after an error", () => {
  const bytes = Buffer.from(captured[0]!.hex, "hex");
  const reader = new ClientHelloReader();
  reader.push(bytes);
  expect(() => reader.push(bytes)).toThrow(expect.objectContaining({ code: "decoder_dead" }));
  const failed = new ClientHelloReader();
  expect(() => failed.push(Buffer.from("GET / HTTP/1.1\r\n"))).toThrow(WireError);
  expect(() => failed.push(bytes)).toThrow(expect.objectContaining({ code: "decoder_dead" }));
});

function read(chunks: readonly Uint8Array[]): ClientHello | undefined {
  const reader = new ClientHelloReader();
  for (const chunk of chunks) {
    const hello = reader.push(chunk);
    if (hello !== undefined) return hello;
  }
  return undefined;
}

function onlyWireErrors(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(WireError);
  }
}

function cut(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const length of lengths) {
    if (offset >= bytes.length) break;
    parts.push(bytes.subarray(offset, offset + length));
    offset += length;
  }
  if (offset < bytes.length) parts.push(bytes.subarray(offset));
  return parts;
}

function recordHeader(length: number): Uint8Array {
  return Uint8Array.of(22, 3, 1, length >> 8, length & 0xff);
}

function helloFor(name: string): ClientHello | undefined {
  return parse([[0, list(entry(name))]]);
}

function parse(
  extensions: readonly (readonly [type: number, bytes: Buffer])[],
): ClientHello | undefined {
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    Buffer.from([0, 0, 2, 0x13, 0x01, 1, 0]),
    list(Buffer.concat(extensions.flatMap(([type, bytes]) => [uint16(type), list(bytes)]))),
  ]);
  const handshake = Buffer.concat([Buffer.from([1, 0]), uint16(body.length), body]);
  return new ClientHelloReader().push(Buffer.concat([recordHeader(handshake.length), handshake]));
}

function entry(name: string): Buffer {
  return Buffer.concat([Buffer.from([0]), list(Buffer.from(name, "latin1"))]);
}

function list(bytes: Buffer): Buffer {
  return Buffer.concat([uint16(bytes.length), bytes]);
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}
