import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { InternalError, WireError } from "@culvert/runtime";
import { tipProblem } from "./check-tip.ts";
import { tipDefaults } from "./defaults.ts";
import { TipSchema, type PublicOfferSchema } from "./gen/tip_pb.ts";
import { clipText } from "./text-length.ts";
import type { PublicOffer, Tip } from "./tip.ts";
import { messageLength } from "./tip-length.ts";
import { varintLength, writeVarint } from "./varint.ts";

/** The version byte of every frame (PROTOCOL.md §2.1). */
export const tipVersion = 1;

/** Number on the wire of each role (PROTOCOL.md §3.1). */
export const roleNumber = { client: 1, server: 2 } as const;

/**
 * The whole frame of a tip, in bytes the caller owns (PROTOCOL.md §2.1). Texts for people are cut to 1,024 characters.
 * @throws InternalError `invariant` where the tip breaks a rule its receiver would refuse it for; WireError `frame_too_large`
 * where its parts are lawful and their sum is not, as with 256 services of 64 characters.
 */
export function encodeTip(tip: Tip): Uint8Array {
  const clipped = withClippedTexts(tip);
  const problem = tipProblem(clipped);
  if (problem !== undefined) throw new InternalError("invariant", `${tip.kind}: ${problem}`);
  const message = toBinary(TipSchema, create(TipSchema, { kind: kindOf(clipped) }));
  const max = tipDefaults.maxTipBytes;
  if (message.length > max) {
    throw new WireError(
      "frame_too_large",
      `a tip of ${message.length} bytes; at most ${max} are allowed`,
      { data: { length: message.length, max } },
    );
  }
  const frame = new Uint8Array(1 + varintLength(message.length) + message.length);
  frame[0] = tipVersion;
  frame.set(message, writeVarint(frame, 1, message.length));
  return frame;
}

/** How many bytes {@link encodeTip} makes of a tip, found without encoding it. */
export function encodedTipLength(tip: Tip): number {
  const length = messageLength(withClippedTexts(tip));
  return 1 + varintLength(length) + length;
}

function withClippedTexts(tip: Tip): Tip {
  switch (tip.kind) {
    case "attach":
      return { ...tip, software: clip(tip.software) };
    case "attachAnswer":
      return {
        ...tip,
        text: clip(tip.text),
        software: clip(tip.software),
        ...(tip.exposes === undefined
          ? {}
          : { exposes: tip.exposes.map((each) => ({ ...each, text: clip(each.text) })) }),
      };
    case "answer":
      return { ...tip, text: clip(tip.text) };
    case "connect":
    case "offer":
      return tip;
  }
}

function clip(text: string): string {
  return clipText(text, tipDefaults.maxTextLength);
}

function kindOf(tip: Tip): NonNullable<MessageInitShape<typeof TipSchema>["kind"]> {
  switch (tip.kind) {
    case "attach": {
      const { role, instanceId, transient, software } = tip;
      const services = tip.services.map((name) => ({ name }));
      const capabilities = [...tip.capabilities];
      return {
        case: "attach",
        value: {
          role: roleNumber[role],
          services,
          instanceId,
          transient,
          software,
          capabilities,
          exposes: [...(tip.exposes ?? [])],
        },
      };
    }
    case "attachAnswer": {
      const { status, text, name, software } = tip;
      const capabilities = [...tip.capabilities];
      const exposes = [...(tip.exposes ?? [])];
      return {
        case: "attachAnswer",
        value: { status, text, name, software, capabilities, exposes },
      };
    }
    case "connect": {
      const { server, target, traceId, clientPort, inner } = tip;
      return { case: "connect", value: { server, target, traceId, clientPort, inner } };
    }
    case "offer": {
      const { clientId, clientName, target, traceId, clientPort, inner } = tip;
      return {
        case: "offer",
        value: {
          clientId,
          clientName,
          target,
          traceId,
          clientPort,
          inner,
          ...(tip.public === undefined ? {} : { public: publicMessage(tip.public) }),
        },
      };
    }
    case "answer": {
      const { status, text, limit, inner } = tip;
      return { case: "answer", value: { status, text, limit, inner } };
    }
  }
}

function publicMessage(offer: PublicOffer): MessageInitShape<typeof PublicOfferSchema> {
  const { remote, ...rest } = offer;
  const { family: remoteFamily, address: remoteAddress, port: remotePort } = remote;
  return { ...rest, remoteFamily, remoteAddress, remotePort };
}
