import { WireError, errorText } from "@culvert/runtime";
import { quoteText } from "../quote-text.ts";
import { goJson, type GoJsonValue } from "./go-json.ts";
import { JsonObject } from "./json-reader.ts";

/** Manager to agent: do `op`. Its `args` are as they came; {@link parseConfigureArgs} reads those of "configure". */
export interface NorouterRequest {
  readonly kind: "request";
  readonly id: number;
  readonly op: string;
  /** Absent where the message has none. */
  readonly args?: unknown;
}

/** Agent to manager: what became of the request with this id. */
export interface NorouterResult {
  readonly kind: "result";
  readonly id: number;
  readonly op: string;
  readonly error?: unknown;
  readonly data?: unknown;
}

/** Agent to manager, without being asked. {@link parseRouteSuggestion} reads the data of the only `type`, "routeSuggestion". */
export interface NorouterEvent {
  readonly kind: "event";
  readonly type: string;
  readonly data?: unknown;
}

/** What a JSON frame says (NOROUTER.md §2). */
export type NorouterMessage = NorouterRequest | NorouterResult | NorouterEvent;

/**
 * Reads the payload of a JSON frame, as tolerant as NoRouter's own programs: members in any case, unknown ones ignored, null for
 * nothing.
 * @throws WireError `malformed_message`; `unexpected_message` for a type of message that nobody sends, such as the "response" of
 * NoRouter's design document.
 */
export function parseMessage(payload: Uint8Array): NorouterMessage {
  const message = new JsonObject(parseJson(payload), "");
  const type = message.text("type");
  const body = message.object("body");
  switch (type) {
    case "request":
      return {
        kind: type,
        id: body.count("id", Number.MAX_SAFE_INTEGER),
        op: body.text("op"),
        ...present("args", body.raw("args")),
      };
    case "result":
      return {
        kind: type,
        id: body.count("request_id", Number.MAX_SAFE_INTEGER),
        op: body.text("op"),
        ...present("error", body.raw("error")),
        ...present("data", body.raw("data")),
      };
    case "event":
      return { kind: type, type: body.text("type"), ...present("data", body.raw("data")) };
    default:
      throw unexpectedType(type);
  }
}

/** The payload of a JSON frame, byte for byte as NoRouter's own programs write it. */
export function serializeMessage(message: NorouterMessage): Uint8Array {
  return new TextEncoder().encode(goJson({ type: message.kind, body: bodyOf(message) }));
}

/** The text of a result's error; undefined where it tells of none, as null, "" and {} do. */
export function resultErrorText({ error }: NorouterResult): string | undefined {
  if (error === undefined || error === null || error === "") return undefined;
  if (typeof error === "string") return error;
  if (typeof error === "object" && Object.keys(error).length === 0) return undefined;
  return JSON.stringify(error);
}

function bodyOf(message: NorouterMessage): GoJsonValue {
  switch (message.kind) {
    case "request":
      return { id: message.id, op: message.op, args: message.args as GoJsonValue | undefined };
    case "result":
      return {
        request_id: message.id,
        op: message.op,
        error: message.error as GoJsonValue | undefined,
        data: message.data as GoJsonValue | undefined,
      };
    case "event":
      return { type: message.type, data: message.data as GoJsonValue | undefined };
  }
}

function parseJson(payload: Uint8Array): unknown {
  try {
    // A byte order mark is kept and so refused, as Go does.
    return JSON.parse(new TextDecoder("utf-8", { ignoreBOM: true }).decode(payload));
  } catch (error) {
    throw new WireError("malformed_message", `not JSON: ${errorText(error)}`, { cause: error });
  }
}

function unexpectedType(type: string): WireError {
  const hint =
    type === "response"
      ? 'NoRouter\'s design document has it, but its programs send "result"'
      : type === "routeSuggestion"
        ? 'it belongs into the body of an "event"'
        : '"request", "result" and "event" are known';
  return new WireError(
    "unexpected_message",
    `unexpected message type ${quoteText(type)}: ${hint}`,
    { data: { type: quoteText(type) } },
  );
}

function present<Key extends string>(key: Key, value: unknown): Partial<Record<Key, unknown>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, unknown>);
}
