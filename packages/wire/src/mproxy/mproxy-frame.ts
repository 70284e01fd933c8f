import { millis } from "@culvert/runtime";

/**
 * The frames of M-PROXY (PROTOCOL.md §11), by the word in field 5 of their header. Any other word is a service, and the
 * frame carries `data` of a connection.
 *
 * ```
 * byte 0   254 = 255 - version 1
 * byte 1   length of the header, bytes
 * header   UTF-8 text, fields joined by commas:
 *          ,,,<length>,control
 *          <family>,<address>,<port>,<length>,connection,<service port>,<name>,<service>
 *          <family>,<address>,<port>,<length>,<service or word>,<service port>,<name>
 * body     <length> bytes
 * ```
 */
export const reservedWords = {
  /** A JSON array for the tunnel as a whole. */
  control: true,
  /** Opens a connection; a body is its first bytes. */
  connection: true,
  /** The sender sends no more on this connection. */
  end: true,
  /** The connection is aborted; the body is a JSON object with `message` and `code`, or nothing. */
  error: true,
  /** Send no more for now; the body is the number of bytes read so far. */
  pause: true,
  /** Send again; the body is the number of bytes read so far. */
  resume: true,
} as const;

/** What a frame is for. */
export type MproxyFrameKind = keyof typeof reservedWords | "data";

/**
 * Names a connection within a tunnel: three texts, echoed exactly as they came. In Telebit they are the public client's address
 * (`IPv4`, `203.0.113.7`, `50000`).
 */
export interface ConnectionId {
  readonly family: string;
  readonly address: string;
  readonly port: string;
}

/** The header of a frame. */
export interface MproxyFrame {
  readonly kind: MproxyFrameKind;
  /** Three empty texts in `control`. */
  readonly connection: ConnectionId;
  /** Of `data` and `connection`: what is spoken on it, such as `https`; else undefined. */
  readonly service: string | undefined;
  /** Undefined where the header has no such field; empty where it is empty. */
  readonly servicePort: string | undefined;
  /** The host name that was asked for, as {@link servicePort}. */
  readonly name: string | undefined;
  /** Bytes of the body. */
  readonly length: number;
}

/** The version byte of every frame. */
export const mproxyVersionByte = 254;

/** Longest header, bytes: its length has one byte. */
export const maxHeaderBytes = 255;

/** The id of `control` frames. */
export const noConnection: ConnectionId = { family: "", address: "", port: "" };

/** One key for a connection: the three texts as they stand in a header, where none of them can hold a comma. */
export function connectionKey({ family, address, port }: ConnectionId): string {
  return `${family},${address},${port}`;
}

/** Limits and deadlines of M-PROXY (PROTOCOL.md §11). */
export const mproxyDefaults = {
  /** Largest body of `data` and `connection` that is taken, bytes. It streams through, so this bounds nonsense, not memory. */
  maxBodyBytes: 16 * 1024 * 1024,
  /** Largest `control` body, bytes: a grant of a thousand names fits. */
  maxControlBytes: 64 * 1024,
  /** Largest `error` body, bytes. */
  maxErrorBytes: 4 * 1024,
  /** Largest body of `end`, `pause` and `resume`, bytes: a number, or the one space older senders pad with. */
  maxNumberBytes: 32,
  /** A control command is answered within this, or has failed. */
  commandTimeout: millis(10_000),
} as const;
