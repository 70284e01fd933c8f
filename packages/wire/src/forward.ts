import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { InternalError } from "@culvert/runtime";
import { forwardAnswerProblem, forwardProblem } from "./check-tip.ts";
import { decodeMessage, refuse } from "./decode-message.ts";
import { ignoringUnknown } from "./decode-tip.ts";
import { tipDefaults } from "./defaults.ts";
import { ForwardAnswerSchema, ForwardSchema } from "./gen/tip_pb.ts";
import { clipText } from "./text-length.ts";
import type { Forward, ForwardAnswer } from "./tip.ts";

/**
 * The inner layer of a Connect, a bare protobuf message (PROTOCOL.md §3.6).
 * @throws InternalError `invariant` where it breaks a rule its receiver would refuse it for.
 */
export function encodeForward(forward: Forward): Uint8Array {
  hold("forward", forwardProblem(forward));
  const { clientPort, target } = forward;
  const capabilities = [...forward.capabilities];
  return toBinary(ForwardSchema, create(ForwardSchema, { clientPort, target, capabilities }));
}

/**
 * Reads the inner layer of an Offer.
 * @throws WireError `malformed_message`, also where it is larger than an inner layer may be.
 */
export function decodeForward(bytes: Uint8Array): Forward {
  boundInner("forward", bytes);
  const message = decodeMessage("forward", () => fromBinary(ForwardSchema, bytes, ignoringUnknown));
  const { clientPort, target, capabilities } = message;
  const forward: Forward = { clientPort, target, capabilities };
  const problem = forwardProblem(forward);
  return problem === undefined ? forward : refuse("forward", problem);
}

/**
 * The inner layer of an Answer, a bare protobuf message (PROTOCOL.md §3.7). The text is cut to 1,024 characters.
 * @throws InternalError `invariant` where it breaks a rule its receiver would refuse it for.
 */
export function encodeForwardAnswer(answer: ForwardAnswer): Uint8Array {
  const { status } = answer;
  const text = clipText(answer.text, tipDefaults.maxTextLength);
  const capabilities = [...answer.capabilities];
  hold("forward answer", forwardAnswerProblem({ status, text, capabilities }));
  return toBinary(ForwardAnswerSchema, create(ForwardAnswerSchema, { status, text, capabilities }));
}

/**
 * Reads the inner layer of an Answer.
 * @throws WireError `malformed_message`, also where it is larger than an inner layer may be.
 */
export function decodeForwardAnswer(bytes: Uint8Array): ForwardAnswer {
  boundInner("forward answer", bytes);
  const message = decodeMessage("forward answer", () =>
    fromBinary(ForwardAnswerSchema, bytes, ignoringUnknown),
  );
  const { status, text, capabilities } = message;
  const answer: ForwardAnswer = { status, text, capabilities };
  const problem = forwardAnswerProblem(answer);
  return problem === undefined ? answer : refuse("forward answer", problem);
}

function hold(what: string, problem: string | undefined): void {
  if (problem !== undefined) throw new InternalError("invariant", `${what}: ${problem}`);
}

function boundInner(what: string, bytes: Uint8Array): void {
  if (bytes.length <= tipDefaults.maxInnerBytes) return;
  refuse(what, `${bytes.length} bytes; at most ${tipDefaults.maxInnerBytes} are allowed`);
}
