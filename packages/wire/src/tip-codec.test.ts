import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { WireError } from "@culvert/runtime";
import {
  decodeForward,
  decodeForwardAnswer,
  encodedTipLength,
  encodeForward,
  encodeForwardAnswer,
  encodeTip,
  formatTarget,
  TipDecoder,
  type Forward,
  type ForwardAnswer,
  type Target,
  type Tip,
} from "./index.ts";

const name = fc.stringMatching(/^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/);
const service = name.filter((text) => !/^\d+$/.test(text));
const port = fc.integer({ min: 1, max: 65_535 });
const hostName = fc
  .array(fc.stringMatching(/^[a-z](?:[a-z0-9_-]{0,20}[a-z0-9])?$/), { minLength: 1, maxLength: 4 })
  .map((labels) => labels.join("."));
const target: fc.Arbitrary<Target> = fc.oneof(
  service.map((text) => ({ kind: "service" as const, name: text })),
  port.map((number) => ({ kind: "port" as const, port: number })),
  fc.record({
    kind: fc.constant("address" as const),
    host: fc.oneof(hostName, fc.ipV4(), fc.constantFrom("fd00::1", "::", "::ffff:1.2.3.4")),
    port,
  }),
);
const targetText = target.map(formatTarget);
const status = fc.oneof(
  fc.constantFrom(100, 203, 207, 999),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
);
// Decoders of UTF-8 take a leading byte order mark away.
const text = fc
  .string({ unit: "grapheme", maxLength: 200 })
  .filter((value) => !value.startsWith("\ufeff"));
const clientPort = fc.integer({ min: 0, max: 65_535 });
const capabilities = fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 64 });
const sixteen = fc.uint8Array({ minLength: 16, maxLength: 16 });
const inner = fc.uint8Array({ maxLength: 300 });
const label = fc.stringMatching(/^[a-z](?:[a-z0-9-]{0,20}[a-z0-9])?$/);
const publicName = fc.array(label, { minLength: 1, maxLength: 5 }).map((all) => all.join("."));
const exposeName = fc.tuple(fc.constantFrom("", "*."), publicName).map((parts) => parts.join(""));
const expose = fc.oneof(
  fc.record({ name: exposeName, port: fc.constant(0) }),
  fc.record({ name: fc.constant(""), port }),
);
const exposeAnswer = fc
  .tuple(
    expose,
    fc.record({
      status,
      text,
      httpsPort: clientPort,
      httpPort: clientPort,
      tlsEnded: fc.boolean(),
    }),
  )
  .map(([asked, answer]) => ({ ...asked, ...answer }));
const remote = fc.oneof(
  fc.record({ family: fc.constant("IPv4" as const), address: fc.ipV4(), port: clientPort }),
  fc.record({
    family: fc.constant("IPv6" as const),
    address: fc.constantFrom("2001:db8::1", "::1", "::ffff:127.0.0.1"),
    port: clientPort,
  }),
);
const localAddress = fc.constantFrom("", "192.0.2.1", "2001:db8::2");
const publicOffer = fc.oneof(
  fc.record({
    service: fc.constant("https" as const),
    name: publicName,
    servicePort: clientPort,
    remote,
    localAddress,
    tlsEnded: fc.constant(false),
  }),
  fc.record({
    service: fc.constant("http" as const),
    name: publicName,
    servicePort: clientPort,
    remote,
    localAddress,
    tlsEnded: fc.boolean(),
  }),
  fc.record({
    service: fc.constant("tcp" as const),
    name: fc.constant(""),
    servicePort: clientPort,
    remote,
    localAddress,
    tlsEnded: fc.constant(false),
  }),
);
const peerId = fc.stringMatching(/^[1-9A-HJ-NP-Za-km-z]{44}$/).map((rest) => `12D3KooW${rest}`);

const tips: fc.Arbitrary<Tip> = fc.oneof(
  fc.record({
    kind: fc.constant("attach" as const),
    role: fc.constantFrom("client" as const, "server" as const),
    services: fc.array(service, { maxLength: 20 }),
    instanceId: sixteen,
    transient: fc.boolean(),
    software: text,
    capabilities,
  }),
  fc.record({
    kind: fc.constant("attach" as const),
    role: fc.constant("server" as const),
    services: fc.constant([]),
    instanceId: sixteen,
    transient: fc.boolean(),
    software: text,
    capabilities,
    exposes: fc.array(expose, { minLength: 1, maxLength: 40 }),
  }),
  fc.record({
    kind: fc.constant("attachAnswer" as const),
    status,
    text,
    name,
    software: text,
    capabilities,
    exposes: fc.array(exposeAnswer, { minLength: 1, maxLength: 10 }),
  }),
  fc.record({
    kind: fc.constant("offer" as const),
    clientId: fc.constant(""),
    clientName: fc.constant(""),
    target: fc.constant(""),
    traceId: sixteen,
    clientPort,
    inner: fc.constant(new Uint8Array(0)),
    public: publicOffer,
  }),
  fc.record({
    kind: fc.constant("attachAnswer" as const),
    status,
    text,
    name,
    software: text,
    capabilities,
  }),
  fc.record({
    kind: fc.constant("connect" as const),
    server: name,
    target: targetText,
    traceId: sixteen,
    clientPort,
    inner,
  }),
  fc.record({
    kind: fc.constant("offer" as const),
    clientId: peerId,
    clientName: name,
    target: targetText,
    traceId: sixteen,
    clientPort,
    inner,
  }),
  fc.record({
    kind: fc.constant("answer" as const),
    status,
    text,
    limit: fc.stringMatching(/^[A-Za-z0-9._-]{0,64}$/),
    inner,
  }),
);

const forwards: fc.Arbitrary<Forward> = fc.record({ clientPort, target: targetText, capabilities });
const forwardAnswers: fc.Arbitrary<ForwardAnswer> = fc.record({ status, text, capabilities });

/** Decodes in the pieces that `cuts` make of the bytes; every piece is copied and wiped after its push. */
function decodeInPieces(
  bytes: Uint8Array,
  cuts: readonly number[],
): { tip: Tip; rest: Uint8Array } | undefined {
  const decoder = new TipDecoder();
  const bounds = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])];
  bounds.sort((a, b) => a - b);
  for (const [index, start] of bounds.entries()) {
    const piece = bytes.slice(start, bounds[index + 1] ?? bytes.length);
    const decoded = decoder.push(piece);
    if (decoded !== undefined) {
      const rest = bytes.subarray(start + piece.length - decoded.rest.length);
      piece.fill(0xee);
      return { tip: decoded.tip, rest };
    }
    piece.fill(0xee);
  }
  return undefined;
}

/** Runs a decoder over anything at all and lets nothing but a WireError pass. */
function wireErrorOrResult(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    expect(error.message.length).toBeLessThan(400);
  }
}

describe("tip codec", () => {
  it("decodes what it encodes, into as many bytes as it says", () => {
    fc.assert(
      fc.property(tips, (tip) => {
        const bytes = encodeTip(tip);
        expect(encodedTipLength(tip)).toBe(bytes.length);
        expect(new TipDecoder().push(bytes)).toEqual({ tip, rest: new Uint8Array(0) });
      }),
      { numRuns: 2_000 },
    );
  });

  it("decodes alike however the bytes are split, and keeps no view on them", () => {
    const cuts = fc.array(fc.nat(2_000), { maxLength: 12 });
    const tail = fc.uint8Array({ maxLength: 40 });
    fc.assert(
      fc.property(tips, cuts, tail, (tip, at, after) => {
        const bytes = new Uint8Array([...encodeTip(tip), ...after]);
        expect(decodeInPieces(bytes, at)).toEqual({ tip, rest: after });
      }),
      { numRuns: 2_000 },
    );
  });

  it("decodes bytes that come one by one", () => {
    fc.assert(
      fc.property(tips, (tip) => {
        const bytes = encodeTip(tip);
        const decoder = new TipDecoder();
        for (const [index, byte] of bytes.entries()) {
          expect(decoder.missingBytes).toBeGreaterThan(0);
          expect(decoder.missingBytes).toBeLessThanOrEqual(bytes.length - index);
          const decoded = decoder.push(new Uint8Array([byte]));
          expect(decoded === undefined).toBe(index < bytes.length - 1);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("makes a result or a WireError of flipped bits", () => {
    const flips = fc.array(fc.nat(), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(tips, flips, (tip, bits) => {
        const bytes = encodeTip(tip);
        for (const bit of bits) {
          const at = (bit >>> 3) % bytes.length;
          bytes[at] = (bytes[at] ?? 0) ^ (1 << (bit & 7));
        }
        wireErrorOrResult(() => new TipDecoder().push(bytes));
      }),
      { numRuns: 6_000 },
    );
  });

  it("waits for more where a tip is cut, and makes a WireError of one cut inside its frame", () => {
    fc.assert(
      fc.property(tips, fc.nat(), (tip, cut) => {
        const bytes = encodeTip(tip);
        expect(new TipDecoder().push(bytes.subarray(0, cut % bytes.length))).toBeUndefined();
        const message = bytes.subarray(bytes.length - (cut % Math.min(bytes.length, 100)));
        wireErrorOrResult(() => new TipDecoder().push(framed(message)));
      }),
      { numRuns: 2_000 },
    );
  });

  it("makes a result or a WireError of random messages and random bytes", () => {
    const message = fc.oneof(
      fc.uint8Array({ maxLength: 120 }),
      // Begins like one of the kinds, so that the inside of each is reached.
      fc
        .tuple(fc.constantFrom(0x0a, 0x12, 0x1a, 0x22, 0x2a), fc.uint8Array({ maxLength: 100 }))
        .map(([tag, body]) => new Uint8Array([tag, body.length, ...body])),
    );
    fc.assert(
      fc.property(message, (bytes) => {
        wireErrorOrResult(() => new TipDecoder().push(framed(bytes)));
        wireErrorOrResult(() => new TipDecoder().push(bytes));
      }),
      { numRuns: 8_000 },
    );
  });

  it("survives groups nested as deep as a frame allows", () => {
    const deep = new Uint8Array(16_000).fill(0x7b);
    expect(() => new TipDecoder().push(framed(deep))).toThrow(WireError);
  });

  it("carries the inner layer there and back", () => {
    fc.assert(
      fc.property(forwards, forwardAnswers, (forward, answer) => {
        expect(decodeForward(encodeForward(forward))).toEqual(forward);
        expect(decodeForwardAnswer(encodeForwardAnswer(answer))).toEqual(answer);
      }),
      { numRuns: 1_000 },
    );
  });

  it("makes a result or a WireError of a damaged or random inner layer", () => {
    fc.assert(
      fc.property(forwards, fc.uint8Array({ maxLength: 60 }), fc.nat(), (forward, noise, at) => {
        const bytes = encodeForward(forward);
        bytes.set(noise.subarray(0, 3), Math.max(0, (at % bytes.length) - 3));
        for (const input of [bytes, noise]) {
          wireErrorOrResult(() => decodeForward(input));
          wireErrorOrResult(() => decodeForwardAnswer(input));
        }
      }),
      { numRuns: 3_000 },
    );
  });
});

function framed(message: Uint8Array): Uint8Array {
  const { length } = message;
  return new Uint8Array([
    1,
    (length & 0x7f) | 0x80,
    ((length >> 7) & 0x7f) | 0x80,
    length >> 14,
    ...message,
  ]);
}
