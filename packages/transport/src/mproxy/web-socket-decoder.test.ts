import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { WireError } from "@culvert/runtime";
import {
  closeCodeOf,
  maxPieceBytes,
  WebSocketDecoder,
  type WebSocketEvent,
} from "./web-socket-decoder.ts";
import { applyMask, webSocketHeaderLength, writeWebSocketHeader } from "./web-socket-frame.ts";

/** A frame as a test wants it, right or wrong. */
interface Frame {
  readonly fin?: boolean;
  readonly reserved?: number;
  readonly opcode: number;
  readonly payload?: Uint8Array;
  readonly mask?: Uint8Array;
  /** Bytes that say the length, where that is not the shortest that can. */
  readonly lengthBytes?: 0 | 2 | 8;
}

/** Written apart from what is tested. */
function frameBytes(frame: Frame): Buffer {
  const { fin = true, reserved = 0, opcode, payload = new Uint8Array(0), mask } = frame;
  const size = payload.length;
  const lengthBytes = frame.lengthBytes ?? (size < 126 ? 0 : size < 65_536 ? 2 : 8);
  const length = Buffer.alloc(lengthBytes);
  if (lengthBytes === 2) length.writeUInt16BE(size);
  if (lengthBytes === 8) length.writeBigUInt64BE(BigInt(size));
  const short = lengthBytes === 0 ? size : lengthBytes === 2 ? 126 : 127;
  const start = [(fin ? 0x80 : 0) | (reserved << 4) | opcode, (mask ? 0x80 : 0) | short];
  const masked = mask ? payload.map((byte, index) => byte ^ mask[index % 4]!) : payload;
  return Buffer.concat([Buffer.from(start), length, mask ?? Buffer.alloc(0), masked]);
}

function decoder(
  options: { peerMasks?: boolean; maxMessageBytes?: number } = {},
): WebSocketDecoder {
  const { peerMasks = false, maxMessageBytes = 256 * 1024 } = options;
  return new WebSocketDecoder({ peerMasks, maxMessageBytes });
}

/** Events with the bytes of messages joined, since where they are cut is nobody's business. */
function joined(events: readonly WebSocketEvent[]): unknown[] {
  const all: unknown[] = [];
  let bytes: Buffer | undefined;
  for (const event of events) {
    if (event.type === "bytes") {
      expect(event.bytes.length).toBeGreaterThan(0);
      if (bytes !== undefined) all.pop();
      bytes = Buffer.concat([bytes ?? Buffer.alloc(0), event.bytes]);
      all.push({ type: "bytes", bytes: bytes.toString("hex") });
    } else {
      bytes = undefined;
      all.push("payload" in event ? { ...event, payload: String(event.payload) } : event);
    }
  }
  return all;
}

function refusal(bytes: Uint8Array, reader = decoder()): WireError {
  try {
    reader.push(bytes);
  } catch (error) {
    if (error instanceof WireError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

const binary = 2;
const mask = fc.uint8Array({ minLength: 4, maxLength: 4 });
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.integer({ min: 100, max: 300 }).map((length) => Buffer.alloc(length, length)),
  fc.constantFrom(65_535, 65_536, 65_537, 131_080).map((length) => Buffer.alloc(length, 7)),
);
const controlPayload = fc.uint8Array({ maxLength: 125 });

/** A right sequence of frames: messages in fragments, with control frames between and within them. */
const conversation = (masks: boolean): fc.Arbitrary<readonly Frame[]> => {
  const withMask = (frame: fc.Arbitrary<Frame>): fc.Arbitrary<Frame> =>
    masks ? fc.tuple(frame, mask).map(([one, key]) => ({ ...one, mask: key })) : frame;
  const control = withMask(fc.record({ opcode: fc.constantFrom(9, 10), payload: controlPayload }));
  const message = fc
    .array(fc.tuple(payload, fc.array(control, { maxLength: 2 })), { minLength: 1, maxLength: 4 })
    .chain((parts) =>
      fc.tuple(
        ...parts.map(([bytes, controls], index) =>
          withMask(
            fc.constant({
              fin: index === parts.length - 1,
              opcode: index === 0 ? binary : 0,
              payload: bytes,
            }),
          ).map((frame) => [...controls, frame]),
        ),
      ),
    )
    .map((parts) => parts.flat());
  return fc
    .array(
      fc.oneof(
        message,
        control.map((one) => [one]),
      ),
      { maxLength: 5 },
    )
    .map((all) => all.flat());
};

function expected(frames: readonly Frame[]): unknown[] {
  const events = frames.flatMap(
    ({ opcode, payload: bytes = new Uint8Array(0) }): WebSocketEvent[] => {
      if (opcode === 9) return [{ type: "ping", payload: bytes }];
      if (opcode === 10) return [{ type: "pong", payload: bytes }];
      return bytes.length === 0 ? [] : [{ type: "bytes", bytes }];
    },
  );
  // As strings, whatever kind of array they come in.
  return joined(
    events.map((event) =>
      "payload" in event ? { ...event, payload: Buffer.from(event.payload) } : event,
    ),
  );
}

describe.each([
  ["a listener", false],
  ["a dialler", true],
])("what %s sends", (_who, peerMasks) => {
  const options = { peerMasks, maxMessageBytes: 1024 * 1024 };

  test("is read alike, however the bytes are split", () => {
    fc.assert(
      fc.property(
        conversation(peerMasks),
        fc.array(fc.nat(), { maxLength: 20 }),
        (frames, places) => {
          const bytes = Buffer.concat(frames.map(frameBytes));
          const cuts = places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b);
          const reader = decoder(options);
          const events = [0, ...cuts].flatMap((cut, index) =>
            reader.push(bytes.subarray(cut, cuts[index] ?? bytes.length)),
          );
          expect(joined(events)).toEqual(expected(frames));
        },
      ),
      { numRuns: 200 },
    );
  });

  test("is read alike byte by byte", () => {
    fc.assert(
      fc.property(
        conversation(peerMasks).filter(
          (frames) => Buffer.concat(frames.map(frameBytes)).length < 2_000,
        ),
        (frames) => {
          const reader = decoder(options);
          const events = [...Buffer.concat(frames.map(frameBytes))].flatMap((byte) =>
            reader.push(Uint8Array.of(byte)),
          );
          expect(joined(events)).toEqual(expected(frames));
        },
      ),
      { numRuns: 50 },
    );
  });

  test("is answered with events or WireError, whatever it is, and the decoder is dead after the error", () => {
    fc.assert(
      fc.property(
        conversation(peerMasks),
        fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 6 }),
        fc.uint8Array({ maxLength: 100 }),
        (frames, flips, noise) => {
          const bytes = Buffer.concat([...frames.map(frameBytes), noise]);
          for (const [place, value] of flips) bytes[place % bytes.length] = value;
          const reader = decoder(options);
          try {
            reader.push(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(WireError);
            expect([1002, 1003, 1007, 1009]).toContain(closeCodeOf(error));
            expect(refusal(Uint8Array.of(0), reader).code).toBe("decoder_dead");
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test("is copied: the memory of a chunk may be used again at once", () => {
    fc.assert(
      fc.property(conversation(peerMasks), (frames) => {
        const bytes = Buffer.concat(frames.map(frameBytes));
        const reader = decoder(options);
        const events = reader.push(bytes);
        bytes.fill(0xee);
        expect(joined(events)).toEqual(expected(frames));
      }),
      { numRuns: 50 },
    );
  });
});

describe("a frame that breaks RFC 6455", () => {
  const small = Buffer.from("x");
  test.each<[string, readonly Frame[]]>([
    ["a reserved bit, RSV1", [{ opcode: binary, reserved: 4 }]],
    ["a reserved bit, RSV2", [{ opcode: binary, reserved: 2 }]],
    ["a reserved bit, RSV3", [{ opcode: binary, reserved: 1 }]],
    ["a reserved bit of a control frame", [{ opcode: 9, reserved: 4 }]],
    [
      "a reserved bit of a continuation",
      [
        { opcode: binary, fin: false },
        { opcode: 0, reserved: 4 },
      ],
    ],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, readonly Frame[]] => [
      `the opcode ${opcode}`,
      [{ opcode }],
    ]),
    ["a ping in fragments", [{ opcode: 9, fin: false }]],
    ["a pong in fragments", [{ opcode: 10, fin: false }]],
    ["a close frame in fragments", [{ opcode: 8, fin: false }]],
    ["a ping of 126 bytes", [{ opcode: 9, payload: Buffer.alloc(126) }]],
    ["a close frame of 126 bytes", [{ opcode: 8, payload: Buffer.alloc(126, 3) }]],
    ["a ping whose length takes two bytes", [{ opcode: 9, payload: small, lengthBytes: 2 }]],
    ["half a close code", [{ opcode: 8, payload: small }]],
    ["a continuation of nothing", [{ opcode: 0, payload: small }]],
    [
      "a continuation of a message that is over",
      [{ opcode: binary, payload: small }, { opcode: 0 }],
    ],
    [
      "a continuation after the last, with a ping between",
      [{ opcode: binary, fin: false }, { opcode: 0 }, { opcode: 9 }, { opcode: 0 }],
    ],
    [
      "a message within a message",
      [
        { opcode: binary, fin: false, payload: small },
        { opcode: binary, payload: small },
      ],
    ],
    ["a mask of one that listens", [{ opcode: binary, payload: small, mask: Buffer.alloc(4) }]],
    ...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map(
      (code): [string, readonly Frame[]] => [
        `the close code ${code}`,
        [{ opcode: 8, payload: Buffer.from([code >> 8, code & 255]) }],
      ],
    ),
  ])("is refused with 1002: %s", (_what, frames) => {
    const error = refusal(Buffer.concat(frames.map(frameBytes)));
    expect(error.code).toBe("malformed_message");
    expect(closeCodeOf(error)).toBe(1002);
  });

  test("is refused with 1002: no mask of one that dialled", () => {
    const error = refusal(frameBytes({ opcode: binary }), decoder({ peerMasks: true }));
    expect(closeCodeOf(error)).toBe(1002);
  });

  test("is refused with 1002: a length with its highest bit set", () => {
    const error = refusal(Buffer.from([0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 1]));
    expect(closeCodeOf(error)).toBe(1002);
  });

  test.each([0xff, 0xc0, 0xed])("is refused with 1007: a reason that is no UTF-8 (%d)", (byte) => {
    const payload = Buffer.from([0x03, 0xe8, byte, 0xa0, 0x80]);
    expect(closeCodeOf(refusal(frameBytes({ opcode: 8, payload })))).toBe(1007);
  });

  test("is refused at its header, before its payload has come", () => {
    const cuts: [Buffer, number][] = [
      [frameBytes({ opcode: 9, fin: false, payload: small }), 2],
      [frameBytes({ opcode: 1, payload: Buffer.alloc(70_000) }), 2],
      [frameBytes({ opcode: binary, payload: Buffer.alloc(70_000) }), 10],
    ];
    for (const [bytes, length] of cuts) {
      const reader = decoder({ maxMessageBytes: 1_000 });
      expect(reader.push(bytes.subarray(0, length - 1))).toEqual([]);
      expect(refusal(bytes.subarray(length - 1, length), reader)).toBeInstanceOf(WireError);
    }
  });
});

describe("a message", () => {
  test.each([
    [{ opcode: 1, payload: Buffer.from("text") }],
    [{ opcode: 1, payload: Buffer.alloc(0) }],
    [{ opcode: 1, fin: false }],
  ])("of text is refused with 1003: %o", (frame) => {
    const error = refusal(frameBytes(frame));
    expect(error.code).toBe("unexpected_message");
    expect(closeCodeOf(error)).toBe(1003);
  });

  test("may be as large as the limit, in one frame or in fragments, and one byte more is refused with 1009", () => {
    const whole = frameBytes({ opcode: binary, payload: Buffer.alloc(1_000, 1) });
    const parts = [
      { opcode: binary, fin: false, payload: Buffer.alloc(400, 1) },
      { opcode: 0, fin: false, payload: Buffer.alloc(0) },
      { opcode: 0, payload: Buffer.alloc(600, 1) },
    ].map(frameBytes);
    for (const bytes of [whole, Buffer.concat(parts)]) {
      const reader = decoder({ maxMessageBytes: 1_000 });
      // The next one begins to count anew.
      for (let turn = 0; turn < 2; turn += 1) {
        expect(joined(reader.push(bytes))).toEqual([
          { type: "bytes", bytes: Buffer.alloc(1_000, 1).toString("hex") },
        ]);
      }
      const error = refusal(bytes, decoder({ maxMessageBytes: 999 }));
      expect(error.code).toBe("frame_too_large");
      expect(closeCodeOf(error)).toBe(1009);
    }
    for (const length of [2n ** 32n, 2n ** 53n + 1n, 2n ** 63n - 1n]) {
      const bytes = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
      bytes.writeBigUInt64BE(length, 2);
      expect(closeCodeOf(refusal(bytes))).toBe(1009);
    }
  });

  test("is handed on in pieces of at most 64 KiB, each when it is there and in memory of its own", () => {
    const reader = decoder();
    const bytes = frameBytes({ opcode: binary, payload: Buffer.alloc(150_000, 5) });
    const early = reader.push(bytes.subarray(0, 140_000));
    const late = reader.push(bytes.subarray(140_000));
    const lengths = [...early, ...late].map(
      (event) => event.type === "bytes" && event.bytes.length,
    );
    expect(lengths).toEqual([maxPieceBytes, maxPieceBytes, 150_000 - 2 * maxPieceBytes]);
    expect(early).toHaveLength(2);
    for (const event of early) {
      expect(event.type === "bytes" && event.bytes.buffer.byteLength).toBe(maxPieceBytes);
    }
  });

  test("whose length is said in more bytes than it takes is read", () => {
    for (const lengthBytes of [2, 8] as const) {
      const bytes = frameBytes({ opcode: binary, payload: Buffer.from("x"), lengthBytes });
      expect(joined(decoder().push(bytes))).toEqual([{ type: "bytes", bytes: "78" }]);
    }
  });
});

describe("a close frame", () => {
  test.each([
    [Buffer.alloc(0), { code: undefined, text: "" }],
    [Buffer.from([0x03, 0xe8]), { code: 1000, text: "" }],
    [
      Buffer.concat([Buffer.from([0x0f, 0xa0]), Buffer.from("𝄞 why")]),
      { code: 4000, text: "𝄞 why" },
    ],
    [
      Buffer.concat([Buffer.from([0x03, 0xe9]), Buffer.alloc(123, "x")]),
      { code: 1001, text: "x".repeat(123) },
    ],
  ])("says why: %s", (payload, said) => {
    const events = decoder().push(frameBytes({ opcode: 8, payload }));
    expect(events).toEqual([{ type: "close", ...said }]);
  });

  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])(
    "may have the code %d",
    (code) => {
      const payload = Buffer.from([code >> 8, code & 255]);
      expect(decoder().push(frameBytes({ opcode: 8, payload }))).toEqual([
        { type: "close", code, text: "" },
      ]);
    },
  );

  test("is the last that is looked at", () => {
    const reader = decoder();
    const close = frameBytes({ opcode: 8 });
    const wrong = Buffer.alloc(20, 0xff);
    expect(reader.push(Buffer.concat([close, wrong]))).toHaveLength(1);
    expect(reader.push(wrong)).toEqual([]);
  });
});

describe("a frame of ours", () => {
  test("is what the peer reads", () => {
    fc.assert(
      fc.property(
        payload,
        fc.option(mask, { nil: undefined }),
        fc.nat({ max: 9 }),
        (bytes, key, shift) => {
          const length = webSocketHeaderLength(bytes.length, key !== undefined);
          // At any place in memory, since masking looks at that.
          const all = Buffer.alloc(shift + length + bytes.length, 0xaa);
          const frame = { opcode: binary, payloadBytes: bytes.length } as const;
          const at = writeWebSocketHeader(all, shift, frame, key);
          expect(at).toBe(shift + length);
          all.set(bytes, at);
          if (key !== undefined) applyMask(all.subarray(at), key);
          const plain = frameBytes({
            opcode: binary,
            payload: bytes,
            ...(key ? { mask: key } : {}),
          });
          expect(all.subarray(shift).equals(plain)).toBe(true);
          expect(all.subarray(0, shift).every((byte) => byte === 0xaa)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});
