import { request, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { TransportError } from "@culvert/runtime";
import { formatHostPort, type HostPort } from "../host-port.ts";
import type { HttpProxy } from "./http-proxy.ts";

/**
 * Asks an HTTP proxy, over a fresh connection to it, for one to `target` (RFC 9110 §9.3.6). The name goes to the proxy unresolved. From
 * then on the socket, which is destroyed where this fails, carries the target's bytes.
 * @throws TransportError `refused` with the proxy's status, `dial_failed`, or `aborted`.
 */
export function connectThroughProxy(
  socket: Duplex,
  proxy: HttpProxy,
  target: HostPort,
  signal: AbortSignal,
): Promise<Duplex> {
  const authority = formatHostPort(target);
  const name = `the proxy ${formatHostPort(proxy.address)}`;
  return new Promise((resolve, reject) => {
    const asking = request({
      method: "CONNECT",
      path: authority,
      headers: { host: authority, ...authorization(proxy) },
      createConnection: () => socket,
      maxHeaderSize: maxAnswerBytes,
      setHost: false,
      signal,
    });
    const fail = (error: TransportError): void => {
      socket.destroy();
      reject(error);
    };
    asking.on("connect", (answer: IncomingMessage, _socket: Duplex, head: Buffer) => {
      const status = answer.statusCode ?? 0;
      if (status < 200 || status > 299) {
        fail(refused(name, authority, status));
        return;
      }
      // Nobody reads from here on until TLS does; the parser has left its reading on.
      socket.pause();
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    asking.on("response", ({ statusCode }) => fail(refused(name, authority, statusCode ?? 0)));
    asking.on("error", (cause: Error) => {
      if (signal.aborted) {
        fail(new TransportError("aborted", `${name}: aborted`, { cause: signal.reason }));
      } else {
        fail(new TransportError("dial_failed", `${name}: ${cause.message}`, { cause }));
      }
    });
    asking.end();
  });
}

function refused(name: string, target: string, status: number): TransportError {
  const why = status === 407 ? "it asks for a user and a password, or others" : `status ${status}`;
  return new TransportError("refused", `${name} did not connect to ${target}: ${why}`, {
    data: { status },
  });
}

function authorization({ credentials }: HttpProxy): Record<string, string> {
  if (credentials === undefined) return {};
  const encoded = Buffer.from(credentials.reveal(), "utf8").toString("base64");
  return { "proxy-authorization": `Basic ${encoded}` };
}

/** A proxy that says more than this about a connection is none. */
const maxAnswerBytes = 16 * 1024;
