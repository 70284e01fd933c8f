import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { WireError } from "@culvert/runtime";
import {
  encodeFrameHeader,
  MproxyDecoder,
  parseErrorBody,
  type MproxyEvent,
  type MproxyFrame,
} from "./index.ts";

/** What the real packer is given, and what it makes of it; see the `source` of each file. */
interface PackVector {
  readonly name: string;
  readonly api: "pack" | "packHeader" | "Transform";
  readonly input: {
    readonly meta: Record<string, string | number> | null;
    readonly service?: string;
    readonly andBody?: boolean;
    readonly dataKind: "buffer" | "json" | "null";
    readonly opts?: Record<string, unknown> & { readonly address: Record<string, string | number> };
    readonly writesHex?: readonly string[];
  };
  readonly dataHex: string | null;
  readonly outputHex: string;
  readonly streamHex?: string;
  readonly unpacked?: readonly RealEvent[];
}

interface RealEvent {
  readonly event: string;
  readonly family: string;
  readonly address: string;
  readonly port: string;
  readonly service: string;
  readonly serviceport: string;
  readonly name: string;
  readonly message?: string;
  readonly code?: string;
  readonly data?: { readonly hex: string } | string;
}

interface UnpackVector {
  readonly name: string;
  readonly chunksHex: readonly string[];
  readonly events: readonly RealEvent[];
}

function load(file: string): readonly unknown[] {
  const text = readFileSync(new URL(`./vectors/${file}.json`, import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly vectors: readonly unknown[] }).vectors;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** The frame the real packer was asked for. */
function frameOf(
  meta: Record<string, unknown> | null,
  service: string | undefined,
  length: number,
): MproxyFrame {
  const kind = service ?? "data";
  return {
    kind: kind as MproxyFrame["kind"],
    connection: {
      family: text(meta?.["family"]) ?? "",
      address: text(meta?.["address"]) ?? "",
      port: text(meta?.["port"]) ?? "",
    },
    service: text(meta?.["service"]),
    servicePort: text(meta?.["serviceport"]),
    name: text(meta?.["name"]),
    length,
  };
}

/** Frames with their bodies, collected. */
function framesOf(events: readonly MproxyEvent[]): { frame: MproxyFrame; body: Buffer }[] {
  const frames: { frame: MproxyFrame; body: Buffer }[] = [];
  for (const event of events) {
    if (event.type === "frame") frames.push({ frame: event.frame, body: Buffer.alloc(0) });
    const last = frames.at(-1)!;
    if (event.type === "body") last.body = Buffer.concat([last.body, event.bytes]);
    if (event.type === "end") expect(last.body.length).toBe(last.frame.length);
  }
  return frames;
}

/** What the real unpacker would have said. */
function asReal({ frame, body }: { frame: MproxyFrame; body: Buffer }): Record<string, unknown> {
  const { kind, connection, service, servicePort, name } = frame;
  const real: Record<string, unknown> = {
    event: kind === "data" ? "message" : kind,
    ...connection,
    service: service ?? (kind === "data" ? undefined : kind),
    serviceport: servicePort,
    name,
    data: body.length === 0 ? undefined : { hex: body.toString("hex") },
  };
  if (kind !== "error") return real;
  const { message, code } = parseErrorBody(body);
  return { ...real, message, code };
}

function expected(event: RealEvent): Record<string, unknown> {
  const wanted = Object.fromEntries(
    Object.entries(event).filter(([, value]) => value !== "__undefined__"),
  );
  // A text of its own where there is no JSON; we keep what was said.
  if (event.event !== "error" || !event.message?.startsWith("e:")) return wanted;
  const { hex = "" } = typeof event.data === "object" ? event.data : {};
  return { ...wanted, message: Buffer.from(hex, "hex").toString() };
}

const packVectors = load("pack") as readonly PackVector[];

describe("packing as proxy-packer 2.0.4 does", () => {
  it.each(packVectors.filter(({ api }) => api !== "Transform"))("$name", (vector) => {
    const { meta, service, andBody = false } = vector.input;
    const data = vector.dataHex === null ? Buffer.alloc(0) : Buffer.from(vector.dataHex, "hex");
    const pack = vector.api === "pack";
    // Its pack() never leaves a body empty.
    const body = pack && data.length === 0 ? Buffer.from(" ") : data;
    const header = encodeFrameHeader(frameOf(meta, service, body.length));
    const output = Buffer.concat([header, pack || andBody ? body : Buffer.alloc(0)]);
    expect(output.toString("hex")).toBe(vector.outputHex);
  });

  it.each(packVectors.filter(({ api }) => api === "Transform"))("$name", ({ input, outputHex }) => {
    const { address, ...rest } = input.opts!;
    const output = input.writesHex!.map((hex) => {
      const body = Buffer.from(hex, "hex");
      const header = encodeFrameHeader(frameOf({ ...address, ...rest }, undefined, body.length));
      return Buffer.concat([header, body]).toString("hex");
    });
    expect(output.join("")).toBe(outputHex);
  });
});

describe("unpacking what proxy-packer 2.0.4 packs", () => {
  it.each(packVectors.filter(({ unpacked }) => unpacked !== undefined))("$name", (vector) => {
    const events = new MproxyDecoder().push(
      Buffer.from(vector.streamHex ?? vector.outputHex, "hex"),
    );
    expect(framesOf(events).map(asReal)).toEqual(vector.unpacked!.map(expected));
  });
});

/** Where we refuse what the real unpacker takes or falls over. */
const refusals: Readonly<Record<string, WireError["code"]>> = {
  "datalen-empty": "malformed_message",
  "datalen-garbage": "malformed_message",
  "datalen-negative": "malformed_message",
  "datalen-partial-number": "malformed_message",
  "headerlen-zero": "malformed_message",
  "version-253": "unsupported_version",
  "version-255": "unsupported_version",
  "error-body-null": "malformed_message",
  "datalen-too-big": "frame_too_large",
};

describe("unpacking what proxy-packer 2.0.4 was tried with", () => {
  const vectors = load("unpack") as readonly UnpackVector[];

  function unpack(vector: UnpackVector): Record<string, unknown>[] {
    const decoder = new MproxyDecoder();
    const events = vector.chunksHex.flatMap((hex) => decoder.push(Buffer.from(hex, "hex")));
    return framesOf(events).map(asReal);
  }

  it.each(vectors.filter(({ name }) => !(name in refusals)))("$name", (vector) => {
    expect(unpack(vector)).toEqual(vector.events.map(expected));
  });

  it.each(vectors.filter(({ name }) => name in refusals))("refused: $name", (vector) => {
    let caught: unknown;
    try {
      unpack(vector);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(WireError);
    expect(caught).toMatchObject({ code: refusals[vector.name] });
  });

  it("knows every case that is refused", () => {
    const names = vectors.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(Object.keys(refusals)));
  });
});
