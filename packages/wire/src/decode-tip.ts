import { fromBinary } from "@bufbuild/protobuf";
import { WireError } from "@culvert/runtime";
import { tipProblem } from "./check-tip.ts";
import { roleNumber } from "./encode-tip.ts";
import { TipSchema, type Attach as AttachMessage, type Tip as TipMessage } from "./gen/tip_pb.ts";
import { decodeMessage, refuse } from "./decode-message.ts";
import type { Attach, Tip } from "./tip.ts";

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
      return { kind: kind.case, status, text, name, software, capabilities };
    }
    case "connect": {
      const { server, target, traceId, clientPort, inner } = kind.value;
      return { kind: kind.case, server, target, traceId, clientPort, inner };
    }
    case "offer": {
      const { clientId, clientName, target, traceId, clientPort, inner } = kind.value;
      return { kind: kind.case, clientId, clientName, target, traceId, clientPort, inner };
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
  return { kind: "attach", role, services, instanceId, transient, software, capabilities };
}
