import { WireError } from "@culvert/runtime";

/**
 * Runs the protobuf library's decoder, whose errors are of many kinds (RangeError, TypeError, Error), and turns each into one.
 * @throws WireError `malformed_message`.
 */
export function decodeMessage<T>(what: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    throw new WireError("malformed_message", `${what}: not a protobuf message`, { cause: error });
  }
}

/**
 * Refuses a message that was parsed and broke a rule.
 * @throws WireError `malformed_message`, always.
 */
export function refuse(what: string, problem: string): never {
  throw new WireError("malformed_message", `${what}: ${problem}`);
}
