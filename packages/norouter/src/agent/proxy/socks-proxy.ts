import type { Socket } from "node:net";
import { errorText, splice, systemCode, type ByteStream, type Clock } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import {
  encodeMethod,
  encodePasswordResult,
  encodeReply,
  encodeSocks4Reply,
  Socks4Decoder,
  Socks4Reply,
  Socks5Decoder,
  SocksCommand,
  SocksMethod,
  SocksReply,
  type Socks4Request,
  type SocksMessage,
} from "@culvert/wire";
import { agentDefaults } from "../agent-defaults.ts";
import { answerAndClose } from "./answer-and-close.ts";
import { closeSignal } from "./close-signal.ts";
import type { ProxyNetwork } from "./proxy-network.ts";

/** What a {@link SocksProxy} needs. */
export interface SocksProxyDeps {
  readonly network: ProxyNetwork;
  readonly clock: Clock;
  readonly log: Log;
}

/** A SOCKS proxy of versions 4, 4a and 5 that knows CONNECT alone. Who offers a user and password is asked for them; any will do. */
export class SocksProxy {
  readonly #network: ProxyNetwork;
  readonly #clock: Clock;
  readonly #log: Log;

  constructor({ network, clock, log }: SocksProxyDeps) {
    this.#network = network;
    this.#clock = clock;
    this.#log = rateLimited(log, clock, agentDefaults.warningRate);
  }

  /** Serves an accepted connection to its end. Owns it. */
  serve(socket: Socket): void {
    let handshake: Handshake | undefined;
    const stop = (): void => {
      timer.cancel();
      socket.off("data", onData).off("end", onEnd).off("close", stop);
      socket.pause();
    };
    const fail = (reason: string): void => {
      stop();
      this.#refused(reason);
      socket.destroy();
    };
    const onData = (chunk: Uint8Array): void => {
      try {
        handshake ??= handshakeOf(chunk);
        const step = handshake(chunk);
        for (const answer of step.answers) socket.write(answer);
        if (step.isRefused === true) {
          stop();
          this.#refused("the client offers no way to authenticate that is known");
          answerAndClose(socket, nothing, this.#clock);
          return;
        }
        if (step.request === undefined) return;
        stop();
        void this.#connect(socket, step.request);
      } catch (error) {
        fail(errorText(error));
      }
    };
    const onEnd = (): void => fail("the client ended in the middle of the handshake");
    const timer = this.#clock.setTimer(agentDefaults.handshakeTimeout, () => {
      fail("no whole request in time");
    });
    socket.on("data", onData).on("end", onEnd).on("close", stop);
  }

  async #connect(socket: Socket, request: Request): Promise<void> {
    const { command, host, port, rest } = request;
    if (command !== SocksCommand.connect) {
      this.#refused(`command ${command} is not supported`);
      answerAndClose(socket, request.answer(SocksReply.commandNotSupported), this.#clock);
      return;
    }
    if (rest.length > 0) socket.unshift(rest);
    const { signal, release } = closeSignal(socket);
    const { isInteresting, dialMesh, dialSystem } = this.#network;
    const fields = { listener: "socks", target: `${host}:${port}` };
    let isMesh = false;
    let dialled: ByteStream;
    try {
      isMesh = await isInteresting(host, signal);
      signal.throwIfAborted();
      dialled = await (isMesh ? dialMesh : dialSystem)(host, port, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#refused(errorText(error), fields.target);
      const reply = isMesh ? SocksReply.generalFailure : systemReply(error);
      answerAndClose(socket, request.answer(reply), this.#clock);
      return;
    } finally {
      release();
    }
    this.#log.debug("norouter.agent.connection.opened", fields);
    socket.write(request.answer(SocksReply.succeeded));
    await splice(socket, dialled);
    this.#log.debug("norouter.agent.connection.closed", fields);
  }

  #refused(reason: string, target?: string): void {
    this.#log.warn("norouter.agent.connection.refused", { listener: "socks", target, reason });
  }
}

/** A request of either version, and how it is answered. */
interface Request {
  readonly command: number;
  readonly host: string;
  readonly port: number;
  readonly rest: Uint8Array;
  /** The bytes that say one of {@link SocksReply}. */
  readonly answer: (reply: number) => Uint8Array;
}

/** Takes a chunk; returns what to say to it and, at the end, the request. */
type Handshake = (chunk: Uint8Array) => {
  readonly answers: readonly Uint8Array[];
  readonly request?: Request;
  /** The client was told that there is nothing more to say. */
  readonly isRefused?: boolean;
};

/** The first byte tells the version. */
function handshakeOf(chunk: Uint8Array): Handshake {
  if (chunk[0] === 4) {
    const decoder = new Socks4Decoder();
    return (bytes) => {
      const request = decoder.push(bytes);
      return { answers: [], ...(request === undefined ? {} : { request: fourth(request) }) };
    };
  }
  const decoder = new Socks5Decoder({ methods: [SocksMethod.password, SocksMethod.none] });
  return (bytes) => {
    const answers: Uint8Array[] = [];
    for (const message of decoder.push(bytes)) {
      if (message.kind === "request") return { answers, request: fifth(message) };
      if (message.kind === "credentials") answers.push(encodePasswordResult(true));
      else answers.push(encodeMethod(message.chosen));
      if (message.kind === "greeting" && message.chosen === SocksMethod.unacceptable) {
        return { answers, isRefused: true };
      }
    }
    return { answers };
  };
}

function fourth(request: Socks4Request): Request {
  const answer = (reply: number): Uint8Array => {
    const isGranted = reply === SocksReply.succeeded;
    const { granted, rejected } = Socks4Reply;
    return encodeSocks4Reply(isGranted ? granted : rejected, request.destination);
  };
  return { ...request, answer };
}

function fifth(request: SocksMessage & { readonly kind: "request" }): Request {
  return { ...request, answer: (reply) => encodeReply(reply, request.destination) };
}

/** What to tell of a failure of the system (RFC 1928 §6). */
function systemReply(error: unknown): number {
  const cause = error instanceof Error ? error.cause : undefined;
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  switch (systemCode(first) ?? systemCode(error)) {
    case "ECONNREFUSED":
    case "refused":
      return SocksReply.connectionRefused;
    case "ENETUNREACH":
      return SocksReply.networkUnreachable;
    case "EHOSTUNREACH":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "ETIMEDOUT":
    case "timeout":
      return SocksReply.hostUnreachable;
    default:
      return SocksReply.generalFailure;
  }
}

const nothing = new Uint8Array(0);
