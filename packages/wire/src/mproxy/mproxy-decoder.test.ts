import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireError } from "@culvert/runtime";
import { encodeFrameHeader, isFieldText, MproxyDecoder, type MproxyEvent } from "./index.ts";
import { anyFrame, type FrameAndBody } from "./mproxy-frame.test-data.ts";

function bytesOf(frames: readonly FrameAndBody[]): Buffer {
  return Buffer.concat(frames.flatMap(({ frame, body }) => [encodeFrameHeader(frame), body]));
}

/** Frames with whole bodies, whatever pieces they came in. */
function collect(events: readonly MproxyEvent[]): unknown[] {
  const frames: { frame: unknown; body: Buffer; ended: boolean }[] = [];
  for (const event of events) {
    if (event.type === "frame") {
      frames.push({ frame: event.frame, body: Buffer.alloc(0), ended: false });
    }
    const last = frames.at(-1)!;
    if (event.type === "body") last.body = Buffer.concat([last.body, event.bytes]);
    if (event.type === "end") last.ended = true;
  }
  return frames;
}

function header(text: string): Buffer {
  return Buffer.concat([Buffer.from([254, Buffer.byteLength(text)]), Buffer.from(text)]);
}

function refusal(bytes: Uint8Array): unknown {
  try {
    new MproxyDecoder().push(bytes);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("MproxyDecoder", () => {
  it("gives back what was encoded", () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 12 }), (frames) => {
        const decoded = collect(new MproxyDecoder().push(bytesOf(frames)));
        expect(decoded).toEqual(
          frames.map(({ frame, body }) => ({ frame, body: Buffer.from(body), ended: true })),
        );
      }),
    );
  });

  it("decodes alike however the bytes are split", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (frames, cuts) => {
          const bytes = bytesOf(frames);
          const places = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b);
          const decoder = new MproxyDecoder();
          const events = [0, ...places].flatMap((from, index) =>
            decoder.push(bytes.subarray(from, places[index])),
          );
          expect(collect(events)).toEqual(collect(new MproxyDecoder().push(bytes)));
          expect(decoder.atBoundary).toBe(true);
        },
      ),
    );
  });

  it("decodes byte by byte", () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 3 }), (frames) => {
        const bytes = bytesOf(frames);
        const decoder = new MproxyDecoder();
        const events = [...bytes].flatMap((byte) => decoder.push(Uint8Array.of(byte)));
        expect(collect(events)).toEqual(collect(new MproxyDecoder().push(bytes)));
      }),
      { numRuns: 30 },
    );
  });

  it("answers random bytes with events or WireError, and is dead after the error", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.concat([header(""), bytes])),
      fc.string({ maxLength: 250 }).map((text) => header(Buffer.from(text).toString("latin1"))),
    );
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 4 }), (chunks) => {
        const decoder = new MproxyDecoder();
        let failed = false;
        for (const chunk of chunks) {
          try {
            decoder.push(chunk);
            expect(failed).toBe(false);
          } catch (error) {
            expect(error).toBeInstanceOf(WireError);
            if (failed) expect(error).toMatchObject({ code: "decoder_dead" });
            failed = true;
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("answers flipped and cut frames with events or WireError", () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), fc.nat({ max: 255 }), fc.nat(), (frame, place, to, cut) => {
        const bytes = bytesOf([frame]);
        bytes[place % bytes.length] = to;
        try {
          new MproxyDecoder().push(bytes.subarray(0, 1 + (cut % bytes.length)));
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("streams a body: pieces are views on what came, and nothing is kept", () => {
    const decoder = new MproxyDecoder();
    const start = decoder.push(header("IPv4,192.0.2.1,5,1000000,tcp,,"));
    expect(start.map(({ type }) => type)).toEqual(["frame"]);
    const chunk = new Uint8Array(300_000);
    for (let turn = 0; turn < 3; turn += 1) {
      const [event, ...more] = decoder.push(chunk);
      expect(event?.type === "body" && event.bytes).toBe(chunk);
      expect(more).toEqual([]);
    }
    const last = decoder.push(chunk.subarray(0, 100_000));
    expect(last.map(({ type }) => type)).toEqual(["body", "end"]);
  });

  it("keeps nothing of a chunk, whose memory may be used again at once", () => {
    const decoder = new MproxyDecoder();
    const chunk = header("IPv4,192.0.2.1,5,0,tcp,,");
    const place = chunk.indexOf(",5,") + 1;
    const ports = ["5", "6", "7"].map((port) => {
      chunk.write(port, place);
      const [event] = decoder.push(chunk);
      return event?.type === "frame" && event.frame.connection.port;
    });
    expect(ports).toEqual(["5", "6", "7"]);
  });

  it.each([
    [4_294_967_296, "data"],
    [16 * 1024 * 1024 + 1, "data"],
    [64 * 1024 + 1, "control"],
    [4_097, "error"],
    [33, "end"],
    [33, "pause"],
    [33, "resume"],
  ] as const)("refuses %d bytes announced for %s, with nothing behind it", (length, kind) => {
    const text =
      kind === "control"
        ? `,,,${length},control`
        : `IPv4,192.0.2.1,5,${length},${kind === "data" ? "https" : kind},443,a.b`;
    expect(refusal(header(text))).toMatchObject({ code: "frame_too_large" });
  });

  it.each([
    ["fewer than five fields", "IPv4,1.2.3.4,5,0"],
    ["a space in a field", "IPv4,1.2.3.4,5,0,https,443,a b"],
    ["a newline that is not the last field", "IPv4,1.2.3.4,5,0,ht\ntps,443,a.b"],
    ["a NUL", "IPv4,1.2.3.4,5,0,https,443,a\0b"],
    ["a sign", "IPv4,1.2.3.4,5,+3,https"],
    ["an exponent", "IPv4,1.2.3.4,5,1e3,https"],
    ["hexadecimal", "IPv4,1.2.3.4,5,0x10,https"],
    ["a fraction", "IPv4,1.2.3.4,5,3.9,https"],
    ["more digits than a number has", "IPv4,1.2.3.4,5,0000000000000003,https"],
  ])("refuses a header with %s", (_, text) => {
    expect(refusal(header(text))).toMatchObject({ code: "malformed_message" });
  });

  it("refuses a header that is not UTF-8, and another protocol altogether", () => {
    expect(refusal(Buffer.from([254, 1, 0xff]))).toMatchObject({ code: "malformed_message" });
    const http = refusal(Buffer.from("GET / HTTP/1.1\r\n"));
    expect(http).toMatchObject({ code: "unsupported_version" });
  });
});

describe("encodeFrameHeader", () => {
  const frame = {
    kind: "data",
    connection: { family: "IPv4", address: "192.0.2.1", port: "5" },
    service: "https",
    servicePort: "443",
    name: "a.b",
    length: 1,
  } as const;

  it.each(["evil,tcp,.a.example.com", "a b", "a\nb", "a\0b", "\x7f", "\t"])(
    "refuses %j in any field: it would move the fields behind it",
    (text) => {
      for (const bad of [
        { name: text },
        { servicePort: text },
        { service: text },
        { connection: { ...frame.connection, address: text } },
        { connection: { ...frame.connection, family: text } },
        { connection: { ...frame.connection, port: text } },
      ]) {
        expect(() => encodeFrameHeader({ ...frame, ...bad })).toThrow(WireError);
      }
      expect(isFieldText(text)).toBe(false);
    },
  );

  it("refuses a header above 255 bytes, counted in UTF-8", () => {
    const room = 255 - (encodeFrameHeader({ ...frame, name: "" }).length - 2);
    expect(encodeFrameHeader({ ...frame, name: "n".repeat(room) })[1]).toBe(255);
    for (const name of [
      "n".repeat(room + 1),
      "ü".repeat(Math.floor(room / 2) + 1),
      "n".repeat(999),
    ]) {
      expect(() => encodeFrameHeader({ ...frame, name })).toThrow(
        expect.objectContaining({ code: "frame_too_large" }) as Error,
      );
    }
  });

  it.each(["control", "connection", "end", "error", "pause", "resume"])(
    "refuses data of a service called %s",
    (service) => {
      expect(() => encodeFrameHeader({ ...frame, service })).toThrow(WireError);
    },
  );

  it("has no trouble with names every object has", () => {
    for (const service of ["__proto__", "constructor", "toString", "default"]) {
      const [event] = new MproxyDecoder().push(encodeFrameHeader({ ...frame, service }));
      expect(event?.type === "frame" && event.frame).toMatchObject({ kind: "data", service });
    }
  });
});
