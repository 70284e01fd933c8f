import fc from "fast-check";
import { expect, it } from "vitest";
import { WireError } from "@culvert/runtime";
import { hostOfAuthority } from "./host.ts";
import { RequestHeadReader, type RequestHead } from "./request-head.ts";

const request =
  "GET /a?b HTTP/1.1\r\nUser-Agent: curl/7.88.1\r\nHOST:  App.Example.com:8080 \r\nAccept: */*\r\n\r\n";

it("reads method, target and host, however the head is split, and leaves the body", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 }), (lengths) => {
      expect(read(`${request}body`, lengths)).toEqual({
        method: "GET",
        target: "/a?b",
        host: { kind: "name", name: "app.example.com" },
        length: request.length,
      });
    }),
  );
});

it("a request without Host, and one to an address, are read too", () => {
  expect(read("GET / HTTP/1.0\r\n\r\n")).toMatchObject({ host: undefined, length: 18 });
  expect(read("GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n")).toMatchObject({
    host: { kind: "address" },
  });
});

for (const [what, text] of [
  ["two Hosts", "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n"],
  ["a Host with a comma", "GET / HTTP/1.1\r\nHost: evil,tcp,.a.example.com\r\n\r\n"],
  ["a Host with a user", "GET / HTTP/1.1\r\nHost: a@b.example\r\n\r\n"],
  ["a forged frame in Host", 'GET / HTTP/1.1\r\nHost: a,\xfe\x10,,,9,control[0,"smg"]\r\n\r\n'],
  ["a folded line", "GET / HTTP/1.1\r\nHost: a.example\r\n x: y\r\n\r\n"],
  ["a space before the colon", "GET / HTTP/1.1\r\nHost : a.example\r\n\r\n"],
  ["a bare line feed in a field", "GET / HTTP/1.1\r\nX: a\nHost: b.example\r\n\r\n"],
  ["a zero byte in a field", "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n"],
  ["HTTP/2 without its preface", "GET / HTTP/2.0\r\n\r\n"],
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n"],
  ["a TLS hello", "\x16\x03\x01\x02\x00\x01"],
] as const) {
  it(`${what} is refused`, () => {
    expect(() => read(text)).toThrow(WireError);
  });
}

it("a head over the limit is refused before more than the limit is kept, whole or in pieces", () => {
  const long = `GET / HTTP/1.1\r\nX: ${"y".repeat(2_000)}\r\n\r\n`;
  for (const lengths of [[], Array<number>(400).fill(5)]) {
    expect(() => read(long, lengths, 1_024)).toThrow(
      expect.objectContaining({ code: "frame_too_large" }),
    );
  }
  expect(read(long, [], long.length)?.length).toBe(long.length);
});

it("random bytes are refused with the typed error, and nothing else is thrown", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      for (const whole of [text, `GET / HTTP/1.1\r\n${text}\r\n\r\n`]) {
        try {
          read(whole);
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

it("a reader is dead after its head", () => {
  const reader = new RequestHeadReader();
  reader.push(Buffer.from(request));
  expect(() => reader.push(Buffer.from(request))).toThrow(
    expect.objectContaining({ code: "decoder_dead" }),
  );
});

it("an authority is a name or an address, with a port or without", () => {
  expect(hostOfAuthority("a.example.")).toEqual({ kind: "name", name: "a.example" });
  expect(hostOfAuthority("192.0.2.1:80")).toEqual({ kind: "address" });
  for (const text of ["", ":80", "a:b", "a:80:80", "[a]", "[::1", "1.2.3", "a_b.example", "a/b"]) {
    expect(hostOfAuthority(text), text).toBeUndefined();
  }
});

function read(
  text: string,
  lengths: readonly number[] = [],
  maxBytes?: number,
): RequestHead | undefined {
  const bytes = Buffer.from(text, "latin1");
  const reader = new RequestHeadReader({ maxBytes });
  let offset = 0;
  for (const length of [...lengths, bytes.length]) {
    const head = reader.push(bytes.subarray(offset, offset + length));
    if (head !== undefined) return head;
    offset += length;
  }
  return undefined;
}
