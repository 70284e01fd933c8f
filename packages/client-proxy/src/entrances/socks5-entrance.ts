import type { Socket } from "node:net";
import { errorText, formatMillis, TransportError, type Clock, type Millis } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import {
  encodeMethod,
  encodePasswordResult,
  encodeReply,
  Socks5Decoder,
  SocksCommand,
  SocksMethod,
  SocksReply,
  Status,
  type SocksMessage,
} from "@culvert/wire";
import { answerAndClose } from "./answer-and-close.ts";
import { ConnectRefused } from "./connect-refused.ts";
import { entranceDefaults } from "./entrance-defaults.ts";
import type { Connector, Entrance, EntranceStatus } from "./entrance.ts";
import { Forwarder } from "./forwarder.ts";
import { proxyDestination } from "./proxy-destination.ts";
import { ProxyUsers, type Password } from "./proxy-users.ts";
import { TcpListener } from "./tcp-listener.ts";

/** What a {@link Socks5Entrance} needs. */
export interface Socks5EntranceDeps {
  readonly connector: Connector;
  readonly log: Log;
  readonly clock: Clock;
}

/** Where a {@link Socks5Entrance} listens and for whom. */
export interface Socks5EntranceOptions {
  /** An address, a name, or `localhost` for both loopback addresses. */
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** User names and passwords (RFC 1929); without any, nobody is asked. */
  readonly users?: ReadonlyMap<string, Password> | undefined;
  /** Default: `entranceDefaults.maxConnections`. */
  readonly maxConnections?: number | undefined;
  /** From accepting to a whole request. Default: `entranceDefaults.handshakeTimeout`. */
  readonly handshakeTimeout?: Millis | undefined;
}

/**
 * A SOCKS5 proxy (RFC 1928, CONNECT) whose host names are servers: `lan-box` or `lan-box.culvert`, with a port of that machine. Clients
 * must leave the look-up of names to the proxy (`socks5h`).
 */
export class Socks5Entrance implements Entrance {
  readonly #deps: Socks5EntranceDeps;
  readonly #log: Log;
  readonly #name: string;
  readonly #users: ProxyUsers;
  readonly #handshakeTimeout: Millis;
  readonly #forwarder: Forwarder;
  readonly #listener: TcpListener;

  constructor(deps: Socks5EntranceDeps, options: Socks5EntranceOptions) {
    this.#deps = deps;
    this.#log = rateLimited(deps.log, deps.clock, entranceDefaults.warningRate);
    const { host, port } = options;
    this.#name = `socks5 ${host}:${port}`;
    this.#users = new ProxyUsers(options.users ?? new Map<string, Password>());
    this.#handshakeTimeout = options.handshakeTimeout ?? entranceDefaults.handshakeTimeout;
    this.#forwarder = new Forwarder(deps, { entrance: this.#name });
    this.#listener = new TcpListener(
      {
        log: this.#log,
        onConnection: (socket) => this.#shakeHands(socket),
        onLimit: (text) => this.#forwarder.countRefusal(text),
      },
      {
        name: "socks5",
        host,
        port,
        maxConnections: options.maxConnections ?? entranceDefaults.maxConnections,
      },
    );
  }

  start(): Promise<void> {
    return this.#listener.start();
  }

  get address(): string | undefined {
    return this.#listener.addresses[0];
  }

  describe(): EntranceStatus {
    return {
      kind: "socks5",
      destination: undefined,
      ...this.#listener.counts,
      ...this.#forwarder.counts,
    };
  }

  stopAccepting(): void {
    this.#listener.stopAccepting();
  }

  drained(): Promise<void> {
    return this.#listener.drained();
  }

  close(): Promise<void> {
    return this.#listener.close();
  }

  #shakeHands(socket: Socket): void {
    const decoder = new Socks5Decoder({
      methods: [this.#users.required ? SocksMethod.password : SocksMethod.none],
    });
    let isOver = false;
    const finish = (): void => {
      isOver = true;
      timer.cancel();
      socket.off("data", onData).off("end", onEnd).off("close", finish);
      socket.pause();
    };
    const refuse = (text: string, answer: Uint8Array): void => {
      finish();
      this.#refuse(socket, text, answer);
    };
    const onData = (chunk: Buffer): void => {
      try {
        for (const message of decoder.push(chunk)) {
          this.#take(socket, message, finish, refuse);
          // What follows a refusal in the same packet is not heard.
          if (isOver) return;
        }
      } catch (error) {
        refuse(errorText(error), nothing);
      }
    };
    const onEnd = (): void => refuse("the client ended in the middle of the handshake", nothing);
    const timer = this.#deps.clock.setTimer(this.#handshakeTimeout, () => {
      finish();
      const text = `no whole request within ${formatMillis(this.#handshakeTimeout)}`;
      this.#countRefusal(socket, text);
      socket.resetAndDestroy();
    });
    socket.on("data", onData).on("end", onEnd).on("close", finish);
  }

  #take(
    socket: Socket,
    message: SocksMessage,
    finish: () => void,
    refuse: (text: string, answer: Uint8Array) => void,
  ): void {
    switch (message.kind) {
      case "greeting": {
        const answer = encodeMethod(message.chosen);
        if (message.chosen !== SocksMethod.unacceptable) socket.write(answer);
        else if (this.#users.required) refuse("the client offers no user and password", answer);
        else refuse("the client insists on authentication", answer);
        return;
      }
      case "credentials": {
        const isRight = this.#users.verify(message.user, message.password);
        const answer = encodePasswordResult(isRight);
        if (isRight) socket.write(answer);
        else refuse("wrong user or password", answer);
        return;
      }
      case "request":
        this.#request(socket, message, finish, refuse);
    }
  }

  #request(
    socket: Socket,
    { command, host, port, rest }: SocksMessage & { readonly kind: "request" },
    finish: () => void,
    refuse: (text: string, answer: Uint8Array) => void,
  ): void {
    if (command !== SocksCommand.connect) {
      refuse(`command ${command} is not supported`, encodeReply(SocksReply.commandNotSupported));
      return;
    }
    const found = proxyDestination(host, port);
    if (found.kind !== "found") {
      const isAddress = found.kind === "address";
      const reply = isAddress ? SocksReply.hostUnreachable : SocksReply.generalFailure;
      refuse(found.text, encodeReply(reply));
      return;
    }
    finish();
    if (rest.length > 0) socket.unshift(rest);
    void this.#forwarder.forward(socket, found.destination, {
      opened: encodeReply(SocksReply.succeeded),
      refused: (refused, error) => this.#answer(refused, encodeReply(replyFor(error))),
    });
  }

  #refuse(socket: Socket, text: string, answer: Uint8Array): void {
    this.#countRefusal(socket, text);
    this.#answer(socket, answer);
  }

  #countRefusal(socket: Socket, text: string): void {
    this.#forwarder.countRefusal(text);
    this.#log.warn("client.connection.refused", {
      entrance: this.#name,
      clientPort: socket.remotePort,
      reason: text,
    });
  }

  #answer(socket: Socket, answer: Uint8Array): void {
    answerAndClose(socket, answer, {
      clock: this.#deps.clock,
      linger: entranceDefaults.lingerTimeout,
    });
  }
}

/** What to tell a SOCKS5 client whose connection failed (RFC 1928 §6). */
export function replyFor(error: Error): number {
  if (error instanceof ConnectRefused) {
    return repliesByStatus.get(error.status) ?? SocksReply.generalFailure;
  }
  if (!(error instanceof TransportError)) return SocksReply.generalFailure;
  switch (error.code) {
    case "no_session":
    case "connection_closed":
      return SocksReply.networkUnreachable;
    case "timeout":
      return SocksReply.hostUnreachable;
    default:
      return SocksReply.generalFailure;
  }
}

const repliesByStatus = new Map<number, number>([
  [Status.unknown_server, SocksReply.hostUnreachable],
  [Status.server_offline, SocksReply.hostUnreachable],
  [Status.permission_denied_by_relay, SocksReply.notAllowed],
  [Status.permission_denied_by_server, SocksReply.notAllowed],
  [Status.target_refused, SocksReply.connectionRefused],
  [Status.target_unreachable, SocksReply.hostUnreachable],
  [Status.target_timeout, SocksReply.hostUnreachable],
]);
const nothing = new Uint8Array(0);
