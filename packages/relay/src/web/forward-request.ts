import { request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { pipeline } from "node:stream";
import { millis, sleep, systemCode, TransportError, type Clock } from "@culvert/runtime";
import { asError } from "./as-error.ts";
import type { DeviceAgent } from "./device-agent.ts";
import type { Exchange } from "./exchange.ts";
import { requestFields, responseFields, type HeaderFields } from "./forwarded-headers.ts";
import type { Turn } from "./stream-gate.ts";

/** How a request that was forwarded has ended. */
export interface ForwardOutcome {
  /** The device's status; undefined where it gave none. */
  readonly status: number | undefined;
  /** What failed: the device before its answer, or either side within it; undefined where all went well. */
  readonly error: Error | undefined;
}

/**
 * Sends a request to a device as HTTP/1.1 and its answer to the client. Resolves, and never rejects, when both are over. Where
 * the device fails before its answer, nothing has been said to the client yet, and the caller answers.
 */
export async function forwardRequest(
  exchange: Exchange,
  agent: DeviceAgent,
  clock: Clock,
): Promise<ForwardOutcome> {
  const over = new AbortController();
  const course: Course = { over: over.signal, request: undefined };
  exchange.onClose((whole) => {
    over.abort(clientLeft());
    if (!whole) course.request?.destroy(clientLeft());
  });
  let outcome = await attempt(exchange, agent, course);
  if (exchange.body !== undefined) return outcome;
  // An idle stream may end in the very moment it is used again; the request has not been seen then (RFC 9110 §9.2.2).
  if (outcome.cut === "idle" && idempotent(exchange.method)) {
    outcome = await attempt(exchange, agent, course);
  }
  if (!safe(exchange.method)) return outcome;
  return askAgain(outcome, clock, over.signal, () => attempt(exchange, agent, course));
}

/** How one attempt has ended. */
export interface Attempt extends ForwardOutcome {
  /** The stream that carried it ended without a byte of an answer, while the client was there: one used before, or a new one. */
  readonly cut: "idle" | "new" | undefined;
}

/**
 * Asks a device again that cut the stream of a request which changes nothing. The gate lets fewer through by now; the server needs
 * a moment all the same, where it was not a matter of how many. Stops when `over` fires.
 */
export async function askAgain(
  first: Attempt,
  clock: Clock,
  over: AbortSignal,
  attemptAgain: () => Promise<Attempt>,
): Promise<Attempt> {
  let outcome = first;
  for (const pause of overloadPauses) {
    if (outcome.cut === undefined) break;
    await sleep(clock, pause);
    if (over.aborted) break;
    outcome = await attemptAgain();
  }
  return outcome;
}

/** The head of a request towards a device, framing included. */
export function deviceFields(exchange: Exchange): HeaderFields {
  const { client, authority, body, method, rawFields } = exchange;
  const fields = requestFields(rawFields, {
    address: client.remote.address.replace(/^::ffff:(?=\d+\.)/, ""),
    proto: client.tls === "none" ? "http" : "https",
    host: authority ?? "",
  });
  if (body === undefined) {
    if (mayHaveBody(method)) fields["content-length"] = "0";
  } else if (body.length === undefined) fields["transfer-encoding"] = "chunked";
  else fields["content-length"] = body.length;
  return fields;
}

/** What all attempts of a request share. */
interface Course {
  /** Fires when the client has gone, or has its answer. */
  readonly over: AbortSignal;
  /** The attempt under way. */
  request: ClientRequest | undefined;
}

async function attempt(exchange: Exchange, agent: DeviceAgent, course: Course): Promise<Attempt> {
  let turn: Turn;
  try {
    turn = await agent.turn(course.over);
  } catch (error) {
    return { status: undefined, error: asError(error), cut: undefined };
  }
  return new Promise((resolve) => {
    const { method, target, body } = exchange;
    const headers = deviceFields(exchange);
    let request: ClientRequest;
    try {
      request = httpRequest({ agent, method, path: target, headers, setHost: false });
    } catch (error) {
      // Node writes less than it reads: what a client may send and a device cannot be sent is the client's affair alone.
      turn.end();
      resolve({ status: undefined, error: asError(error), cut: undefined });
      return;
    }
    let answer: IncomingMessage | undefined;
    let carried = false;
    course.request = request;
    request.once("socket", () => (carried = true));
    request.once("close", () => turn.end());
    request.on("error", (error) => {
      const isCut = (carried || isReset(error)) && answer === undefined && !course.over.aborted;
      const cut = isCut ? (request.reusedSocket ? "idle" : "new") : undefined;
      if (cut === "new") turn.cut();
      resolve({ status: answer?.statusCode, error, cut });
    });
    request.once("response", (response) => {
      answer = response;
      void deliver(response, exchange).then((error) => {
        // Who has answered need not read the rest of the request, and some never would.
        if (error !== undefined || body?.stream.readableEnded === false) request.destroy();
        // What could not be passed on was no answer.
        const status = exchange.responded ? response.statusCode : undefined;
        resolve({ status, error, cut: undefined });
      });
    });
    // Switching protocols was not asked for.
    request.once("upgrade", (_response, stream) => {
      stream.destroy();
      resolve({ status: undefined, error: new Error("an upgrade unasked"), cut: undefined });
    });
    if (body === undefined) request.end();
    else {
      const { stream } = body;
      const left = (): void => void request.destroy(clientLeft());
      stream.on("error", left);
      // Node ends the stream of HTTP/2 also where the client reset it; the device must not take that for the whole.
      stream.once("end", () => {
        if (body.cut) left();
        else request.end();
      });
      stream.pipe(request, { end: false });
      // What the device will not read must not stand in the way of the client's next request.
      request.once("close", () => stream.resume());
    }
  });
}

function deliver(response: IncomingMessage, exchange: Exchange): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const status = finalStatus(response);
    if (status === undefined) {
      response.destroy();
      resolve(new Error(`the device answers with status ${response.statusCode}`));
      return;
    }
    const bodyless = exchange.method === "HEAD" || status === 204 || status === 304;
    let sink;
    try {
      sink = exchange.respond(status, responseFields(response.rawHeaders), bodyless);
    } catch (error) {
      response.destroy();
      resolve(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (bodyless) {
      response.resume();
      response.once("close", () => resolve(undefined));
      return;
    }
    pipeline(response, sink, (error) => {
      if (error) exchange.abort();
      resolve(error ?? undefined);
    });
  });
}

/** The status of an answer; undefined for one that ends no request (RFC 9110 §15), and that Node would throw at. */
export function finalStatus({ statusCode = 0 }: IncomingMessage): number | undefined {
  return statusCode >= 200 && statusCode <= 599 ? statusCode : undefined;
}

/** Whether a stream that was there has been reset, perhaps before the request was on it. */
function isReset(error: Error): boolean {
  const code = error instanceof TransportError ? error.code : systemCode(error);
  return ["stream_reset", "stream_stopped", "ECONNRESET", "EPIPE"].includes(code ?? "");
}

/** What a request fails by whose client has gone: nobody's fault, and nobody's to be told. */
export function clientLeft(): TransportError {
  return new TransportError("aborted", "the client left");
}

/** Methods that change nothing (RFC 9110 §9.2.1), so that asking again does no harm. */
function safe(method: string): boolean {
  return ["GET", "HEAD", "OPTIONS"].includes(method);
}

function idempotent(method: string): boolean {
  return ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"].includes(method);
}

function mayHaveBody(method: string): boolean {
  return ["POST", "PUT", "PATCH"].includes(method);
}

/** Before the second attempt and the later ones. */
const overloadPauses = [100, 200, 400, 800].map(millis);
