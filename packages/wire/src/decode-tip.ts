import { fromBinary } from "@bufbuild/protobuf";
import { WireError } from "@culvert/runtime";
import { tipProblem } from "./check-tip.ts";
import { roleNumber } from "./encode-tip.ts";
import {
  TipSchema,
  type Attach as AttachMessage,
  type ExposeAnswer as ExposeAnswerMessage,
  type PublicOffer as PublicOfferMessage,
  type Tip as TipMessage,
} from "./gen/tip_pb.ts";
import { decodeMessage, refuse } from "./decode-message.ts";
import { quoteText } from "./quote-text.ts";
import type { Attach, ExposeAnswer, PublicOffer, Tip } from "./tip.ts";

/**
 * Reads the message inside a tip frame and checks every rule of PROTOCOL.md §6 and §7. Byte fields are views on `bytes`.
 * @throws WireError `malformed_message`, or `unexpected_message` where it holds no kind known here.
 */
export function decodeTipMessage(bytes: Uint8Array): Tip {
  const tip = toTip(decodeMessage("tip", () => fromBinary(TipSchema, bytes, ignoringUnknown)));
  const problem = tipProblem(tip);
  if (problem !== undefined) refuse(tip.kind, problem);
  return tip;
}

/** Unknown fields are dropped, not kept (PROTOCOL.md §9.1). */
export const ignoringUnknown = { readUnknownFields: false };

function toTip({ kind }: TipMessage): Tip {
  switch (kind.case) {
    case "attach":
      return toAttach(kind.value);
    case "attachAnswer": {
      const { status, text, name, software, capabilities } = kind.value;
      const exposes = kind.value.exposes.map(toExposeAnswer);
      return {
        kind: kind.case,
        status,
        text,
        name,
        software,
        capabilities,
        ...(exposes.length === 0 ? {} : { exposes }),
      };
    }
    case "connect": {
      const { server, target, traceId, clientPort, inner } = kind.value;
      return { kind: kind.case, server, target, traceId, clientPort, inner };
    }
    case "offer": {
      const { clientId, clientName, target, traceId, clientPort, inner } = kind.value;
      return {
        kind: kind.case,
        clientId,
        clientName,
        target,
        traceId,
        clientPort,
        inner,
        ...(kind.value.public === undefined ? {} : { public: toPublicOffer(kind.value.public) }),
      };
    }
    case "answer": {
      const { status, text, limit, inner } = kind.value;
      return { kind: kind.case, status, text, limit, inner };
    }
    case undefined:
      throw new WireError("unexpected_message", "the tip is of no kind known here");
  }
}

function toAttach(message: AttachMessage): Attach {
  const { instanceId, transient, software, capabilities } = message;
  const role =
    message.role === roleNumber.client
      ? "client"
      : message.role === roleNumber.server
        ? "server"
        : refuse("attach", `role ${message.role} is neither client (1) nor server (2)`);
  const services = message.services.map(({ name }) => name);
  const exposes = message.exposes.map(({ name, port }) => ({ name, port }));
  return {
    kind: "attach",
    role,
    services,
    instanceId,
    transient,
    software,
    capabilities,
    ...(exposes.length === 0 ? {} : { exposes }),
  };
}

function toExposeAnswer(message: ExposeAnswerMessage): ExposeAnswer {
  const { name, port, status, text, httpsPort, httpPort, tlsEnded } = message;
  return { name, port, status, text, httpsPort, httpPort, tlsEnded };
}

function toPublicOffer(message: PublicOfferMessage): PublicOffer {
  const { name, servicePort, localAddress, tlsEnded, remoteAddress, remotePort } = message;
  return {
    service: oneOf("service", message.service, publicServices),
    name,
    servicePort,
    remote: {
      family: oneOf("remote_family", message.remoteFamily, ipFamilies),
      address: remoteAddress,
      port: remotePort,
    },
    localAddress,
    tlsEnded,
  };
}

function oneOf<T extends string>(field: string, value: string, known: readonly T[]): T {
  const found = known.find((each) => each === value);
  return found ?? refuse("offer", `${field} ${quoteText(value)} is not known here`);
}

const publicServices = ["https", "http", "tcp"] as const;
const ipFamilies = ["IPv4", "IPv6"] as const;
