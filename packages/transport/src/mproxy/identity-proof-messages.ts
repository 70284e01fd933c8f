import { parsePeerId, type PeerId } from "@culvert/identity";
import { errorText, WireError } from "@culvert/runtime";
import type { ControlMessage } from "@culvert/wire";
import { nonceBytes, type ChannelBindingKind } from "./identity-proof.ts";

/** What an end allows the other (PROTOCOL.md §12.2). */
export interface SessionTerms {
  /** Most bytes the other may send on one stream ahead of its reader. */
  readonly windowBytes: number;
  /** Streams the other may have open at a time. */
  readonly maxStreams: number;
  /** Extensions this end knows; unknown ones are ignored. */
  readonly capabilities: readonly string[];
}

/** The first message of the end that dialled. It does not say who it is. */
export interface DiallerHello {
  readonly nonce: Uint8Array;
  /** The bindings it would prove itself by; names of newer peers are kept. */
  readonly bindings: readonly string[];
  readonly terms: SessionTerms;
}

/** The first message of the end that listened. */
export interface ListenerHello {
  readonly nonce: Uint8Array;
  readonly id: PeerId;
  readonly binding: string;
  readonly terms: SessionTerms;
}

/** The second message of either end; the dialler's says who it is. */
export interface Proof {
  readonly id: PeerId | undefined;
  readonly signature: Uint8Array;
}

/** Version of hello and proof; the label of the signature has the same number. */
export const sessionVersion = 1;

/** The dialler's hello as a control message. */
export function formatDiallerHello(hello: DiallerHello): ControlMessage {
  return command(1, helloCommand, {
    versions: [sessionVersion],
    nonce: base64(hello.nonce),
    bindings: hello.bindings,
    ...formatTerms(hello.terms),
  });
}

/** The listener's hello as a control message. */
export function formatListenerHello(
  hello: ListenerHello & { readonly binding: ChannelBindingKind },
): ControlMessage {
  return command(1, helloCommand, {
    version: sessionVersion,
    nonce: base64(hello.nonce),
    id: hello.id,
    binding: hello.binding,
    ...formatTerms(hello.terms),
  });
}

/** A proof as a control message. */
export function formatProof({ id, signature }: Proof): ControlMessage {
  const said = { signature: base64(signature) };
  return command(2, proofCommand, id === undefined ? said : { id, ...said });
}

/**
 * Reads the dialler's hello.
 * @throws WireError `unexpected_message`, `unsupported_version` or `malformed_message`.
 */
export function parseDiallerHello(message: ControlMessage): DiallerHello {
  const fields = fieldsOf(message, helloCommand);
  const versions = list(fields, "versions");
  if (!versions.includes(sessionVersion)) throw unsupported(versions);
  return {
    nonce: bytes(fields, "nonce", nonceBytes),
    bindings: texts(fields, "bindings"),
    terms: parseTerms(fields),
  };
}

/**
 * Reads the listener's hello.
 * @throws as {@link parseDiallerHello}.
 */
export function parseListenerHello(message: ControlMessage): ListenerHello {
  const fields = fieldsOf(message, helloCommand);
  if (fields["version"] !== sessionVersion) throw unsupported(fields["version"]);
  return {
    nonce: bytes(fields, "nonce", nonceBytes),
    id: peerId(fields, "id"),
    binding: text(fields, "binding"),
    terms: parseTerms(fields),
  };
}

/**
 * Reads a proof; `id` only where it is asked for.
 * @throws WireError `unexpected_message` or `malformed_message`.
 */
export function parseProof(message: ControlMessage, options: { readonly withId: boolean }): Proof {
  const fields = fieldsOf(message, proofCommand);
  return {
    id: options.withId ? peerId(fields, "id") : undefined,
    signature: bytes(fields, "signature", signatureBytes),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function command(id: number, name: string, fields: Fields): ControlMessage {
  return { type: "command", id, command: name, args: [fields] };
}

function fieldsOf(message: ControlMessage, name: string): Fields {
  if (message.type !== "command" || message.command !== name) {
    throw new WireError("unexpected_message", `"${name}" was expected, before anything else`);
  }
  const [fields] = message.args;
  if (typeof fields !== "object" || fields === null || Array.isArray(fields)) {
    throw malformed(name, "an object");
  }
  return fields as Fields;
}

function formatTerms({ windowBytes, maxStreams, capabilities }: SessionTerms): Fields {
  return { window: windowBytes, streams: maxStreams, capabilities };
}

function parseTerms(fields: Fields): SessionTerms {
  return {
    windowBytes: count(fields, "window", 1024, 2 ** 40),
    maxStreams: count(fields, "streams", 1, 2 ** 31),
    capabilities: texts(fields, "capabilities"),
  };
}

function count(fields: Fields, name: string, min: number, max: number): number {
  const value = fields[name];
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
    return value;
  }
  throw malformed(name, `a whole number from ${min} to ${max}`);
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value === "string" && value.length <= maxTextLength) return value;
  throw malformed(name, `a text of at most ${maxTextLength} characters`);
}

function list(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name];
  if (Array.isArray(value) && value.length <= maxListLength) return value as unknown[];
  throw malformed(name, `a list of at most ${maxListLength}`);
}

function texts(fields: Fields, name: string): readonly string[] {
  const values = list(fields, name);
  const isText = (value: unknown): value is string =>
    typeof value === "string" && value.length <= maxTextLength;
  if (values.every(isText)) return values;
  throw malformed(name, `a list of texts of at most ${maxTextLength} characters`);
}

function bytes(fields: Fields, name: string, length: number): Uint8Array {
  const value = fields[name];
  if (typeof value === "string" && value.length === Math.ceil((length * 4) / 3)) {
    if (/^[A-Za-z0-9_-]+$/.test(value)) return new Uint8Array(Buffer.from(value, "base64url"));
  }
  throw malformed(name, `${length} bytes in base64url`);
}

function peerId(fields: Fields, name: string): PeerId {
  const value = text(fields, name);
  try {
    return parsePeerId(value);
  } catch (error) {
    throw new WireError("malformed_message", errorText(error), { cause: error });
  }
}

function base64(value: Uint8Array): string {
  return Buffer.from(value).toString("base64url");
}

function malformed(name: string, wanted: string): WireError {
  return new WireError("malformed_message", `"${name}" of a session's hello or proof: ${wanted}`);
}

function unsupported(versions: unknown): WireError {
  const known = sessionVersion;
  const shown = JSON.stringify(versions ?? null).slice(0, maxTextLength);
  return new WireError(
    "unsupported_version",
    `the peer speaks versions ${shown} of sessions over M-PROXY; ${known} is known here`,
    { data: { known } },
  );
}

const helloCommand = "culvert";
const proofCommand = "proof";
const signatureBytes = 64;
const maxTextLength = 128;
const maxListLength = 64;
