/** What an error may carry besides its code: typed facts for logs, and the foreign error it was made from. */
export interface ErrorDetails {
  /** The values and limits that led here; never a secret. */
  readonly data?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * Base of every error Culvert throws. Branch on `code`, never on the text. The five subclasses say who must act:
 * the user ({@link ConfigError}), the peer ({@link WireError}), whoever sizes things ({@link LimitError}), the network
 * ({@link TransportError}) or us ({@link InternalError}).
 */
export abstract class CulvertError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly data: Readonly<Record<string, unknown>>;

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.data = details.data ?? {};
  }
}

/** What the user wrote cannot be used: a file, a flag, an environment variable, a key. */
export class ConfigError extends CulvertError<
  | "bad_duration"
  | "bad_byte_size"
  | "bad_address"
  | "bad_config"
  | "bad_key"
  | "key_file_permissions"
  | "unreadable_file"
  | "unwritable_file"
  | "already_exists"
  | "bad_usage"
  | "refused_engine"
  | "bad_name"
  | "bad_target"
> {}

/** Bytes from a peer that break the protocol. */
export class WireError extends CulvertError<
  | "frame_too_large"
  | "bad_varint"
  | "unsupported_version"
  | "malformed_message"
  | "unexpected_message"
  | "truncated"
  | "decoder_dead"
> {}

/** A bound was reached; `data.limit` names it. */
export class LimitError extends CulvertError<
  "queue_full" | "too_many_streams" | "too_many_connections"
> {}

/** The link or its other end failed us. */
export class TransportError extends CulvertError<
  | "address_in_use"
  | "address_unavailable"
  | "name_not_found"
  | "dial_failed"
  | "handshake_failed"
  | "wrong_peer"
  | "connection_closed"
  | "stream_reset"
  | "stream_stopped"
  | "timeout"
  | "aborted"
  | "engine_missing"
  | "no_session"
  | "refused"
> {}

/** A defect of Culvert: an invariant did not hold. */
export class InternalError extends CulvertError<"invariant" | "engine_fault"> {}

/** The text of any thrown value. */
export function errorText(error: unknown): string {
  // Node's dial of several addresses fails with no text of its own.
  if (error instanceof AggregateError && error.message === "") {
    return error.errors.map((one) => errorText(one)).join("; ") || "several attempts failed";
  }
  return error instanceof Error ? error.message : String(error);
}

/** The system's code of an error (`ECONNREFUSED`, `EADDRINUSE`), if it carries one. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
