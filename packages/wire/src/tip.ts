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
  /** Public names and ports a server asks for; absent where there are none. */
  readonly exposes?: readonly Expose[];
}

/** A public name or port a server asks the relay for (PROTOCOL.md §3.8). */
export interface Expose {
  /** Lower-case host name, or `*.` and one; empty where a port is asked for. */
  readonly name: string;
  /** Port the relay listens at; 0 where a name is asked for. */
  readonly port: number;
}

/** What P3 says of one {@link Expose} (PROTOCOL.md §3.8). */
export interface ExposeAnswer extends Expose {
  /** `ok`, or why not. */
  readonly status: StatusCode;
  /** One line for people; may be empty. Cut to 1,024 characters when encoded. */
  readonly text: string;
  /** Port of the relay's public entrance for TLS, 0 where it has none. */
  readonly httpsPort: number;
  /** The same for plain HTTP. */
  readonly httpPort: number;
  /** The relay ends TLS for this name. */
  readonly tlsEnded: boolean;
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
  /** One for each Expose of the Attach, in its order; absent where there are none, and from a relay that knows of none. */
  readonly exposes?: readonly ExposeAnswer[];
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
  /** Peer id of P2, as the relay proved it; empty in a public offer, as are clientName, target and inner. */
  readonly clientId: string;
  /** The name the relay knows P2 by. */
  readonly clientName: string;
  readonly target: string;
  readonly traceId: Uint8Array;
  readonly clientPort: number;
  /** The bytes of the Connect, unchanged. */
  readonly inner: Uint8Array;
  /** Where the connection came in at the relay, where no client asked for it. */
  readonly public?: PublicOffer;
}

/** A connection from the public entrance of the relay (PROTOCOL.md §3.9). */
export interface PublicOffer {
  /** `https`: TLS as the client sent it; `http`: HTTP in clear, also where the client came by TLS; `tcp`: anything. */
  readonly service: "https" | "http" | "tcp";
  /** From SNI or Host, in lower case; empty for `tcp`. */
  readonly name: string;
  /** The relay's port it came to. */
  readonly servicePort: number;
  readonly remote: {
    readonly family: "IPv4" | "IPv6";
    readonly address: string;
    readonly port: number;
  };
  /** The relay's address it came to; may be empty. */
  readonly localAddress: string;
  /** The client came by TLS, which the relay ended: the stream carries the plain text. Not with `https`. */
  readonly tlsEnded: boolean;
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
