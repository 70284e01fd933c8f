import { createRequire } from "node:module";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeFrameHeader, MproxyDecoder, parseErrorBody } from "./index.ts";
import { anyFrame, type FrameAndBody } from "./mproxy-frame.test-data.ts";

/** As much of proxy-packer 2.0.4 as is used here; the real one, from npm. */
interface ProxyPacker {
  create(handlers: Record<string, (message: RealMessage) => void>): {
    readonly fns: { addChunk(chunk: Buffer): void };
  };
  packHeader(
    meta: Record<string, string | undefined> | null,
    data: Buffer | null,
    service: string | undefined,
    andBody: boolean,
  ): Buffer;
}

interface RealMessage {
  readonly family: string;
  readonly address: string;
  readonly port: string;
  readonly service: string;
  readonly serviceport?: string;
  readonly name?: string;
  readonly data?: Buffer;
  readonly code?: string;
}

const packer = createRequire(import.meta.url)("proxy-packer") as ProxyPacker;
const batch = 100;
const batches = 100;

/** What the real unpacker says of a frame. */
function asReal({ frame, body }: FrameAndBody): RealMessage & { readonly event: string } {
  const { kind, connection, service, servicePort, name } = frame;
  return {
    event: kind === "data" ? "message" : kind,
    ...connection,
    service: service ?? kind,
    ...(servicePort === undefined ? {} : { serviceport: servicePort }),
    ...(name === undefined ? {} : { name }),
    ...(body.length === 0 ? {} : { data: Buffer.from(body) }),
    ...(kind === "error" ? { code: parseErrorBody(body).code } : {}),
  };
}

/** Cuts bytes at up to 40 places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, index) => bytes.subarray(from, at[index]));
}

const messages = fc.array(anyFrame, { minLength: batch, maxLength: batch });
const cuts = fc.array(fc.nat(), { maxLength: 40 });

describe("with the real proxy-packer 2.0.4, 10,000 random messages", () => {
  it("unpacks what we pack", () => {
    fc.assert(
      fc.property(messages, cuts, (frames, places) => {
        const seen: (RealMessage & { readonly event: string })[] = [];
        const take =
          (event: string) =>
          (message: RealMessage): void => {
            const { family, address, port, service, serviceport, name, data, code } = message;
            const known = { serviceport, name, data, code };
            const given = Object.entries(known).filter(([, value]) => value !== undefined);
            seen.push({ event, family, address, port, service, ...Object.fromEntries(given) });
          };
        const events = ["message", "control", "connection", "end", "error", "pause", "resume"];
        const unpacker = packer.create(
          Object.fromEntries(events.map((event) => [`on${event}`, take(event)])),
        );
        const bytes = frames.flatMap(({ frame, body }) => [encodeFrameHeader(frame), body]);
        for (const piece of cut(Buffer.concat(bytes), places)) {
          if (piece.length > 0) unpacker.fns.addChunk(piece);
        }
        expect(seen).toEqual(frames.map(asReal));
      }),
      { numRuns: batches },
    );
  }, 60_000);

  it("packs byte for byte what we pack, and we unpack it", () => {
    fc.assert(
      fc.property(messages, cuts, (frames, places) => {
        const theirs = frames.map(({ frame, body }) => {
          const { kind, connection, service, servicePort, name } = frame;
          const meta = { ...connection, service, serviceport: servicePort, name };
          const word = kind === "data" ? undefined : kind;
          return packer.packHeader(meta, body.length === 0 ? null : Buffer.from(body), word, true);
        });
        const ours = frames.map(({ frame, body }) =>
          Buffer.concat([encodeFrameHeader(frame), body]),
        );
        expect(theirs).toEqual(ours);
        const decoder = new MproxyDecoder();
        const events = cut(Buffer.concat(theirs), places).flatMap((piece) => decoder.push(piece));
        const headers = events.flatMap((event) => (event.type === "frame" ? [event.frame] : []));
        expect(headers).toEqual(frames.map(({ frame }) => frame));
        const bodies = events.flatMap((event) => (event.type === "body" ? [event.bytes] : []));
        const expected = Buffer.concat(frames.map(({ body }) => body));
        expect(Buffer.concat(bodies).equals(expected)).toBe(true);
      }),
      { numRuns: batches },
    );
  }, 60_000);
});
