import {
  request as httpRequest,
  STATUS_CODES,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import type { Duplex, Writable } from "node:stream";
import { splice, TransportError, type ByteStream, type Clock, type Millis } from "@culvert/runtime";
import { asError } from "./as-error.ts";
import { cutBefore } from "./device-agent.ts";
import type { Exchange } from "./exchange.ts";
import { responseFields, type HeaderFields } from "./forwarded-headers.ts";
import {
  askAgain,
  clientLeft,
  deviceFields,
  finalStatus,
  type Attempt,
  type ForwardOutcome,
} from "./forward-request.ts";
import type { Turn } from "./stream-gate.ts";

/** A WebSocket that wants to be opened: the request, and the client's side of it. */
export interface Upgrade {
  readonly exchange: Exchange;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client's socket, decrypted where TLS is ended here. */
  readonly socket: Duplex;
  /** What came behind the request. */
  readonly head: Buffer;
  /** To be called once the socket is no HTTP any more: it may be silent from then on. */
  readonly opened: () => void;
}

/** How to reach the device that a WebSocket is for. */
export interface UpgradeWay {
  readonly clock: Clock;
  /** How long the device may take to open or refuse it. */
  readonly limit: Millis;
  /** Takes the request's turn. */
  readonly turn: (signal: AbortSignal) => Promise<Turn>;
  /** Opens a stream for it alone. */
  readonly open: () => Promise<ByteStream>;
}

/**
 * Asks a device to open a WebSocket on a stream of its own, and joins the two when it agrees; where it refuses, its answer goes
 * to the client. It takes its turn like a request until the device has answered: open, it may last for days, and a few of them would
 * leave no place for requests. A device that does not answer in time has failed. Resolves, and never rejects, when all is over.
 */
export async function forwardUpgrade(upgrade: Upgrade, way: UpgradeWay): Promise<ForwardOutcome> {
  const over = new AbortController();
  upgrade.exchange.onClose((whole) => {
    if (!whole) over.abort(clientLeft());
  });
  const once = (): Promise<Attempt> => attempt(upgrade, way, over.signal);
  return askAgain(await once(), way.clock, over.signal, once);
}

async function attempt(upgrade: Upgrade, way: UpgradeWay, over: AbortSignal): Promise<Attempt> {
  let turn: Turn | undefined;
  let stream: ByteStream | undefined;
  try {
    turn = await way.turn(over);
    stream = await way.open();
    return await ask(upgrade, stream, { ...way, turn, over });
  } catch (error) {
    turn?.end();
    stream?.destroy();
    return { status: undefined, error: asError(error), cut: undefined };
  }
}

function ask(
  { exchange, socket, head, opened }: Upgrade,
  stream: ByteStream,
  {
    clock,
    limit,
    turn,
    over,
  }: Pick<UpgradeWay, "clock" | "limit"> & { readonly turn: Turn; readonly over: AbortSignal },
): Promise<Attempt> {
  return new Promise((resolve) => {
    const done = (status: number | undefined, error: Error | undefined): void => {
      turn.end();
      over.removeEventListener("abort", onLeft);
      resolve({ status, error, cut: undefined });
    };
    const onLeft = (): void => void stream.destroy();
    const fields = deviceFields(exchange);
    fields["connection"] = "Upgrade";
    fields["upgrade"] = "websocket";
    const request = httpRequest({
      // Without an agent: one would dial by itself.
      createConnection: () => stream,
      method: "GET",
      path: exchange.target,
      headers: fields,
      setHost: false,
    });
    // Node's own time-outs of requests end with an upgrade.
    let answered = false;
    const late = new TransportError("timeout", "the device does not answer");
    const timer = clock.setTimer(limit, () => void request.destroy(late));
    request.on("error", (error) => {
      timer.cancel();
      stream.destroy();
      if (answered || over.aborted || error === late) {
        done(undefined, error);
        return;
      }
      turn.cut();
      over.removeEventListener("abort", onLeft);
      resolve({ status: undefined, error, cut: "new" });
    });
    request.once("upgrade", (response, upgraded, deviceHead) => {
      const answer = responseFields(response.rawHeaders);
      delete answer["content-length"];
      answer["connection"] = "Upgrade";
      answer["upgrade"] = "websocket";
      timer.cancel();
      turn.end();
      opened();
      socket.write(responseHead(101, answer));
      if (deviceHead.length > 0) upgraded.unshift(deviceHead);
      if (head.length > 0) socket.unshift(head);
      void splice(socket, upgraded).then(({ failure }) => {
        done(101, failure?.error);
      });
    });
    request.once("response", (response) => {
      timer.cancel();
      answered = true;
      const status = finalStatus(response);
      if (status === undefined) {
        request.destroy(new Error(`the device answers with status ${response.statusCode}`));
        return;
      }
      let sink: Writable;
      try {
        sink = exchange.respond(status, responseFields(response.rawHeaders), false);
      } catch (error) {
        request.destroy(asError(error));
        return;
      }
      response.pipe(sink);
      response.once("close", () => {
        stream.destroy();
        if (!response.complete) exchange.abort();
        done(status, undefined);
      });
    });
    if (over.aborted) onLeft();
    else over.addEventListener("abort", onLeft, { once: true });
    // Node waits for ever for a stream that has closed before.
    if (stream.destroyed) request.destroy(cutBefore(stream));
    else request.end();
  });
}

/** Whether a request asks for a WebSocket in the one form there is (RFC 6455 §4.1), and brings no body to smuggle. */
export function isWebSocket({ method, headers }: IncomingMessage): boolean {
  return (
    method === "GET" &&
    headers.upgrade?.toLowerCase() === "websocket" &&
    headers["sec-websocket-key"] !== undefined &&
    !hasBody(headers)
  );
}

/** Whether a request announces a body. */
export function hasBody(headers: IncomingMessage["headers"]): boolean {
  const length = headers["content-length"];
  return headers["transfer-encoding"] !== undefined || (length !== undefined && length !== "0");
}

function responseHead(status: number, fields: HeaderFields): string {
  const lines = Object.entries(fields).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}: ${one}\r\n`),
  );
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`;
}
