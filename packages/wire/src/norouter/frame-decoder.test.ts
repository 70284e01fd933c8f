import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WireError } from "@culvert/runtime";
import {
  encodedFrameLength,
  encodeFrame,
  encodeNorouterHeader,
  FrameDecoder,
  frameType,
  norouterDefaults,
  type NorouterFrame,
} from "./index.ts";

const anyFrame: fc.Arbitrary<NorouterFrame> = fc.record({
  type: fc.oneof(fc.constantFrom(...Object.values(frameType)), fc.nat(0xffff)),
  reserved: fc.nat(0xffff),
  payload: fc.uint8Array({ maxLength: 300 }),
});

function bytesOf(frames: readonly NorouterFrame[]): Buffer {
  return Buffer.concat(
    frames.map(({ type, payload, reserved }) => encodeFrame(type, payload, reserved)),
  );
}

/** Copies, since views are valid only as long as their chunk. */
function owned(frames: readonly NorouterFrame[]): NorouterFrame[] {
  return frames.map((frame) => ({ ...frame, payload: Uint8Array.from(frame.payload) }));
}

function refusal(run: () => unknown): WireError {
  try {
    run();
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("FrameDecoder", () => {
  it("gives back what was encoded, however the bytes are split", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { minLength: 1, maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 30 }),
        (frames, cuts) => {
          const bytes = bytesOf(frames);
          const places = [...new Set(cuts.map((cut) => cut % bytes.length))].sort((a, b) => a - b);
          const decoder = new FrameDecoder();
          const decoded = [0, ...places].flatMap((from, index) => {
            const chunk = Buffer.from(bytes.subarray(from, places[index] ?? bytes.length));
            const got = owned(decoder.push(chunk));
            // A view kept for too long would show.
            chunk.fill(0xee);
            return got;
          });
          decoder.end();
          expect(decoded).toEqual(frames);
        },
      ),
    );
  });

  it("says how long a frame is, whole or as a header before its payload", () => {
    fc.assert(
      fc.property(anyFrame, ({ type, payload, reserved }) => {
        const frame = encodeFrame(type, payload, reserved);
        expect(frame.length).toBe(encodedFrameLength(payload.length));
        const parts = [encodeNorouterHeader(type, payload.length, reserved), payload];
        expect(Buffer.concat(parts).equals(frame)).toBe(true);
      }),
    );
  });

  it("gives a payload that lies whole in the chunk as a view on it", () => {
    const bytes = bytesOf([{ type: 1, reserved: 0, payload: new Uint8Array(9) }]);
    const [frame] = new FrameDecoder().push(bytes);
    expect(frame!.payload.buffer).toBe(bytes.buffer);
  });

  it("refuses any bytes or takes them, and never fails otherwise", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 4 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }),
        fc.nat(),
        (frames, changes, length) => {
          const bytes = bytesOf(frames);
          for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
          const decoder = new FrameDecoder();
          try {
            decoder.push(bytes.subarray(0, length % (bytes.length + 1)));
            decoder.end();
          } catch (error) {
            expect(error).toBeInstanceOf(WireError);
          }
        },
      ),
    );
  });

  it.each([
    ["another first byte", "43000004 00010000", "malformed_message", /0x42, not with 0x43/],
    ["text of a shell", "4c", "malformed_message", /not with 0x4c/],
    ["length 0, and nothing more", "42000000", "malformed_message", /of length 0/],
    ["length 3", "42000003 00020000", "malformed_message", /of length 3/],
    ["a packet longer than any", "42010004 00010000", "frame_too_large", /65536 .*65535/],
    ["an unknown type as long", "42010004 00090000", "frame_too_large", /65536/],
    ["JSON longer than is taken", "42400005 00020000", "frame_too_large", /4194305/],
  ])("refuses %s with its header", (_name, hex, code, text) => {
    const decoder = new FrameDecoder();
    const error = refusal(() => decoder.push(Buffer.from(hex.replaceAll(" ", ""), "hex")));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(text);
    expect(refusal(() => decoder.push(new Uint8Array())).code).toBe("decoder_dead");
  });

  it("takes frames as long as its limits and no longer", () => {
    const decoder = new FrameDecoder({ maxJsonBytes: 3, maxPacketBytes: 2 });
    const taken = decoder.push(encodeFrame(frameType.json, new Uint8Array(3)));
    expect(taken).toHaveLength(1);
    expect(refusal(() => decoder.push(encodeFrame(frameType.l3, new Uint8Array(3)))).code).toBe(
      "frame_too_large",
    );
    expect(norouterDefaults.maxPacketBytes).toBe(65_535);
  });

  it("tells an end between frames from one within a frame", () => {
    const frame = encodeFrame(frameType.l3, new Uint8Array(20));
    const whole = new FrameDecoder();
    whole.push(frame);
    whole.end();
    for (const length of [1, 7, 8, 27]) {
      const cut = new FrameDecoder();
      cut.push(frame.subarray(0, length));
      expect(refusal(() => cut.end()).code).toBe("truncated");
    }
  });

  it("does not say a length that the header cannot hold", () => {
    expect(refusal(() => encodeNorouterHeader(frameType.json, 16_777_212)).code).toBe(
      "frame_too_large",
    );
    expect(Buffer.from(encodeNorouterHeader(frameType.json, 16_777_211)).toString("hex")).toBe(
      "42ffffff00020000",
    );
  });
});
