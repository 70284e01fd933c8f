import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  configureRequest,
  configureResult,
  encodeFrame,
  FrameDecoder,
  frameType,
  parseConfigureArgs,
  parseConfigureResult,
  parseMessage,
  parseRouteSuggestion,
  routeSuggestionEvent,
  serializeMessage,
  type NorouterMessage,
} from "./index.ts";

interface Vector {
  readonly name: string;
  readonly what: string;
  readonly json?: unknown;
  readonly hex: string;
}

const file = readFileSync(new URL("./vectors/norouter.json", import.meta.url), "utf8");
const vectors = (JSON.parse(file) as { readonly vectors: readonly Vector[] }).vectors;
// One vector is of the bytes within a connection, not of a frame.
const frames = vectors.filter(({ what }) => !what.startsWith("not a frame"));

/** The message again, from what it was understood as. */
function again(message: NorouterMessage): NorouterMessage {
  switch (message.kind) {
    case "request":
      return configureRequest(message.id, parseConfigureArgs(message.args));
    case "result":
      return configureResult(message.id, parseConfigureResult(message.data));
    case "event":
      return routeSuggestionEvent(parseRouteSuggestion(message.data));
  }
}

describe("frames of NoRouter", () => {
  it.each(frames)("$name is read and written as it is", ({ hex, json }) => {
    const bytes = Buffer.from(hex, "hex");
    const [frame, ...rest] = new FrameDecoder().push(bytes);
    expect(rest).toEqual([]);
    expect(frame!.reserved).toBe(0);
    expect(frame!.type).toBe(json === undefined ? frameType.l3 : frameType.json);
    expect(Buffer.from(encodeFrame(frame!.type, frame!.payload)).toString("hex")).toBe(hex);
  });

  it.each(frames.filter(({ json }) => json !== undefined))(
    "$name is understood, and said again byte for byte",
    ({ hex, json }) => {
      const [frame] = new FrameDecoder().push(Buffer.from(hex, "hex"));
      expect(JSON.parse(Buffer.from(frame!.payload).toString())).toEqual(json);
      const payload = serializeMessage(again(parseMessage(frame!.payload)));
      expect(Buffer.from(encodeFrame(frameType.json, payload)).toString("hex")).toBe(hex);
    },
  );

  it("there are vectors of every kind", () => {
    expect(frames.map(({ name }) => name)).toEqual([
      ...["G1", "G2", "G3", "G3-captured", "G4", "G5", "G6", "G7", "G8"],
    ]);
  });
});
