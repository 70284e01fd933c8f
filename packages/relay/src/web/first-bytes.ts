import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TransportError, WireError, type Clock, type Millis } from "@culvert/runtime";
import {
  ClientHelloReader,
  RequestHeadReader,
  type ClientHello,
  type RequestHead,
} from "@culvert/wire";

/** What the first bytes of a connection say about it. */
export type FirstBytes =
  | { readonly kind: "tls"; readonly hello: ClientHello }
  | { readonly kind: "http"; readonly head: RequestHead }
  /**
   * Nothing that could be used. `began` is what the first byte promised; the error is TransportError `timeout` or
   * `connection_closed`, or WireError `malformed_message` or `frame_too_large`.
   */
  | {
      readonly kind: "failed";
      readonly began: "tls" | "http" | undefined;
      readonly error: TransportError | WireError;
    };

/** How to look at first bytes. */
export interface FirstBytesOptions {
  readonly clock: Clock;
  readonly deadline: Millis;
  readonly maxBytes: number;
}

/**
 * Reads a socket until its ClientHello or its request head is whole, and puts every byte back: whoever takes the paused socket
 * next finds it as the client sent it. The socket must have an error listener. Never rejects.
 */
export function readFirstBytes(socket: Socket, options: FirstBytesOptions): Promise<FirstBytes> {
  const { clock, deadline, maxBytes } = options;
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let began: "tls" | "http" | undefined;
    let read: ((chunk: Buffer) => FirstBytes | undefined) | undefined;
    const stop = (result: FirstBytes): void => {
      timer.cancel();
      socket.off("data", onData);
      socket.off("end", onGone);
      socket.off("close", onGone);
      socket.pause();
      resolve(result);
    };
    const fail = (error: TransportError | WireError): void =>
      stop({ kind: "failed", began, error });
    const onGone = (): void => {
      fail(new TransportError("connection_closed", "the client left before it said what it wants"));
    };
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      began ??= chunk[0] === tlsRecord ? "tls" : "http";
      read ??= began === "tls" ? helloReader(maxBytes) : headReader(maxBytes);
      try {
        const result = read(chunk);
        if (result === undefined) return;
        stop(result);
        socket.unshift(Buffer.concat(chunks));
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        fail(error);
      }
    };
    const timer = clock.setTimer(deadline, () => {
      fail(new TransportError("timeout", "the client did not say in time what it wants"));
    });
    socket.on("data", onData);
    socket.once("end", onGone);
    socket.once("close", onGone);
    if (socket.destroyed || socket.readableEnded) onGone();
    else socket.resume();
  });
}

/**
 * Looks whether what a client says first, inside TLS that was ended here, is ssh (RFC 4253 §4.2), which speaks at once: `ssh` or
 * `other`, with every byte put back and the stream left paused. `left` where it ended or closed before that was sure, `silent` where
 * the deadline passed; the stream is of no more use then but to be destroyed. Never rejects.
 */
export function sniffSsh(
  stream: Duplex,
  { clock, deadline }: Pick<FirstBytesOptions, "clock" | "deadline">,
): Promise<"ssh" | "other" | "left" | "silent"> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const stop = (result: "ssh" | "other" | "left" | "silent"): void => {
      timer.cancel();
      stream.off("data", onData);
      stream.off("end", onGone);
      stream.off("close", onGone);
      stream.pause();
      resolve(result);
    };
    const onGone = (): void => stop("left");
    const onData = (chunk: Buffer): void => {
      chunks.push(chunk);
      const all = Buffer.concat(chunks);
      const begun = all.subarray(0, sshBanner.length).toString("latin1");
      if (begun !== sshBanner && sshBanner.startsWith(begun)) return;
      stop(begun === sshBanner ? "ssh" : "other");
      stream.unshift(all);
    };
    const timer = clock.setTimer(deadline, () => stop("silent"));
    stream.on("data", onData);
    stream.once("end", onGone);
    stream.once("close", onGone);
    if (stream.destroyed || stream.readableEnded) onGone();
    else stream.resume();
  });
}

function helloReader(maxBytes: number): (chunk: Buffer) => FirstBytes | undefined {
  const reader = new ClientHelloReader({ maxBytes });
  return (chunk) => {
    const hello = reader.push(chunk);
    return hello === undefined ? undefined : { kind: "tls", hello };
  };
}

function headReader(maxBytes: number): (chunk: Buffer) => FirstBytes | undefined {
  const reader = new RequestHeadReader({ maxBytes });
  return (chunk) => {
    const head = reader.push(chunk);
    return head === undefined ? undefined : { kind: "http", head };
  };
}

const tlsRecord = 22;
const sshBanner = "SSH-2.0-";
