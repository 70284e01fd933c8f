import type { StatusCode } from "./status.ts";

/** One tip: the message that opens a session or a forwarded connection, or answers one (PROTOCOL.md §3). */
export type Tip = Attach | AttachAnswer | Connect | Offer | Answer;

/** P2 or P4 tells P3 what it is; the first tip of a session (PROTOCOL.md §3.1). */
export interface Attach {
  readonly kind: "attach";
  readonly role: "client" | "server";
  /** Names of the services a server offers; empty for clients. The server's allow list is not told. */
  readonly services: readonly string[];
  /** 16 random bytes, drawn once per process: tells a reconnect from a second process with the same key. */
  readonly instanceId: Uint8Array;
  /** A one-shot session that does not take over the standing one and is offered no connections. */
  readonly transient: boolean;
  /** Name and version of the program, for people: `culvert/0.1.0`. */
  readonly software: string;
  readonly capabilities: readonly number[];
}

/** P3 answers an {@link Attach} (PROTOCOL.md §3.2). */
export interface AttachAnswer {
  readonly kind: "attachAnswer";
  readonly status: StatusCode;
  /** One line for people; may be empty. Cut to 1,024 characters when encoded. */
  readonly text: string;
  /** The name the relay knows you by; empty where it refuses. */
  readonly name: string;
  readonly software: string;
  readonly capabilities: readonly number[];
}

/** P2 asks P3 for a connection (PROTOCOL.md §3.3). */
export interface Connect {
  readonly kind: "connect";
  /** Name of the server. */
  readonly server: string;
  /** Canonical text of a Target. The relay authorises it; P4 compares it with the inner one. */
  readonly target: string;
  /** 16 bytes that name this connection in the logs of all three. */
  readonly traceId: Uint8Array;
  /** P1's ephemeral port; 0 where there is none, as with standard input. */
  readonly clientPort: number;
  /** An encoded `Forward`; the relay passes it on unread. */
  readonly inner: Uint8Array;
}

/** P3 offers P4 a connection (PROTOCOL.md §3.4). */
export interface Offer {
  readonly kind: "offer";
  /** Peer id of P2, as the relay proved it. */
  readonly clientId: string;
  /** The name the relay knows P2 by. */
  readonly clientName: string;
  readonly target: string;
  readonly traceId: Uint8Array;
  readonly clientPort: number;
  /** The bytes of the Connect, unchanged. */
  readonly inner: Uint8Array;
}

/** P4 answers an {@link Offer}, and P3 a {@link Connect} (PROTOCOL.md §3.5). */
export interface Answer {
  readonly kind: "answer";
  readonly status: StatusCode;
  /** One line for people; may be empty. Cut to 1,024 characters when encoded. */
  readonly text: string;
  /** Name of the limit that was reached, where the status is `resource_limit`; else empty. */
  readonly limit: string;
  /** An encoded `ForwardAnswer`, passed on unread; empty where P3 itself answers. */
  readonly inner: Uint8Array;
}

/** The inner layer of a {@link Connect}: what P2 asks of P4 (PROTOCOL.md §3.6). */
export interface Forward {
  readonly clientPort: number;
  readonly target: string;
  readonly capabilities: readonly number[];
}

/** The inner layer of an {@link Answer}: what P4 tells P2 (PROTOCOL.md §3.7). */
export interface ForwardAnswer {
  readonly status: StatusCode;
  readonly text: string;
  readonly capabilities: readonly number[];
}
