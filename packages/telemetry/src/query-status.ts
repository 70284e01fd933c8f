import { request } from "node:http";
import {
  errorText,
  LimitError,
  millis,
  systemClock,
  systemCode,
  TransportError,
  withDeadline,
  type Clock,
  type Millis,
} from "@culvert/runtime";
import { statusAddress } from "./status-socket.ts";

/** How {@link queryStatus} asks. */
export interface QueryStatusOptions {
  readonly clock?: Clock;
  /** How long the daemon may take to answer; 5 s unless given. */
  readonly limit?: Millis;
  /** The largest answer read, bytes; 64 MiB unless given, which is more than 100,000 connections need. */
  readonly maxBytes?: number;
}

/**
 * Asks the daemon whose status socket is at `path` what it is doing.
 * @throws TransportError `dial_failed` where no daemon answers there (data `nobody`: none runs), `timeout`, or `refused` where the answer makes no sense;
 * LimitError `queue_full` where it is too long.
 */
export function queryStatus(path: string, options: QueryStatusOptions = {}): Promise<unknown> {
  const { clock = systemClock, limit = millis(5_000), maxBytes = 64 * 1024 * 1024 } = options;
  const socketPath = statusAddress(path);
  return withDeadline({ clock, limit, what: `status from ${path}` }, async (signal) => {
    const text = await get(socketPath, path, maxBytes, signal);
    try {
      return JSON.parse(text) as unknown;
    } catch (cause) {
      throw new TransportError("refused", `${path} did not answer with a status`, { cause });
    }
  });
}

function get(
  socketPath: string,
  path: string,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path: "/status", agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      let length = 0;
      response.on("error", (error) => reject(dialError(path, error)));
      response.on("data", (chunk: Buffer) => {
        length += chunk.length;
        if (length > maxBytes) {
          const data = { limit: "status answer", maxBytes };
          reject(
            new LimitError("queue_full", `${path} answers more than ${maxBytes} bytes`, { data }),
          );
          asking.destroy();
          return;
        }
        chunks.push(chunk);
      });
      response.on("end", () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString());
        else reject(new TransportError("refused", `${path} answered ${response.statusCode ?? 0}`));
      });
    });
    asking.on("error", (error) => reject(dialError(path, error)));
    asking.end();
  });
}

function dialError(path: string, error: unknown): TransportError {
  const nobody = ["ENOENT", "ECONNREFUSED"].includes(systemCode(error) ?? "");
  return new TransportError(
    "dial_failed",
    nobody
      ? `no daemon with this configuration runs here: nothing answers at ${path}`
      : `cannot ask the daemon at ${path}: ${errorText(error)}`,
    { data: { path, nobody }, cause: error },
  );
}
