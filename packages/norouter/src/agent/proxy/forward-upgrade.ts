import { request, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { ByteStream } from "@culvert/runtime";
import { overTls, requestHeaders } from "./forward-request.ts";
import { endToEndHeaders, valuesOf } from "./proxy-headers.ts";
import type { RequestTarget } from "./proxy-target.ts";

/** Where a request to upgrade goes. */
export interface UpgradeOptions {
  readonly target: RequestTarget;
  /** The connection to the target, owned from here on. */
  readonly dialled: ByteStream;
  /** Told of a failure before the answer; the client is the receiver's then. */
  readonly onError: (error: unknown) => void;
  /** Joins both sides, and owns them. */
  readonly onUpgraded: (client: Duplex, service: Duplex) => void;
}

/**
 * Forwards a request to upgrade. Both sides are joined only where the other end switches (status 101): what follows a refused upgrade
 * would be requests that might be meant for others, so that a refusal ends the connection.
 */
export function forwardUpgrade(
  req: IncomingMessage,
  client: Duplex,
  { target, dialled, onError, onUpgraded }: UpgradeOptions,
): void {
  dialled.on("error", () => undefined);
  const stream = overTls(dialled, target);
  const upstream = request({
    createConnection: () => stream,
    method: req.method,
    path: target.path,
    headers: [
      ...requestHeaders(req, target),
      ...["Connection", "Upgrade", "Upgrade", valuesOf(req.rawHeaders, "upgrade").join(", ")],
    ],
  });
  const onGone = (): void => void upstream.destroy();
  client.once("close", onGone);
  let isAnswered = false;
  upstream.on("error", (error) => {
    dialled.destroy();
    if (isAnswered) client.destroy(error);
    else onError(error);
  });
  upstream.on("upgrade", (answer, service, serviceHead) => {
    isAnswered = true;
    client.off("close", onGone);
    const upgrade = valuesOf(answer.rawHeaders, "upgrade").join(", ");
    client.write(answerHead(answer, ["Connection", "Upgrade", "Upgrade", upgrade]));
    if (serviceHead.length > 0) service.unshift(serviceHead);
    onUpgraded(client, service);
  });
  upstream.on("response", (answer) => {
    isAnswered = true;
    client.write(answerHead(answer, ["Connection", "close"]));
    answer.on("error", () => client.destroy());
    client.resume();
    answer.pipe(client);
  });
  upstream.end();
}

/** The end of the connection ends an answer that is no upgrade. */
function answerHead(answer: IncomingMessage, hopHeaders: readonly string[]): string {
  const { statusCode = 502, statusMessage = "", rawHeaders } = answer;
  const headers = [...endToEndHeaders(rawHeaders, false), ...hopHeaders];
  let head = `HTTP/1.1 ${statusCode} ${statusMessage}\r\n`;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    head += `${headers[at] ?? ""}: ${headers[at + 1] ?? ""}\r\n`;
  }
  return `${head}\r\n`;
}
