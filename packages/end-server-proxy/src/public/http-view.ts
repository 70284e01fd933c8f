import { HTTPParser } from "http-parser-js";
import { millis, type Clock, type Millis } from "@culvert/runtime";
import type { Exchange } from "./exchange.ts";

/**
 * Watches the bytes of one connection and tells of its HTTP/1.x requests and their answers. Only ever looks: whatever the bytes
 * are, it neither changes, delays nor refuses one; what it does not understand it stops watching. Holds at most one header
 * line and 64 requests.
 */
export class HttpView {
  readonly #clock: Clock;
  readonly #tell: (exchange: Exchange) => void;
  readonly #requests = new HTTPParser(HTTPParser.REQUEST);
  readonly #answers = new HTTPParser(HTTPParser.RESPONSE);
  readonly #pending: Pending[] = [];
  /** Bytes since a parser had last something to say; a line without end makes it grow. */
  #unheard = 0;
  #incoming: Pending | undefined;
  #upgrading = false;
  #blind = false;

  constructor(clock: Clock, tell: (exchange: Exchange) => void) {
    this.#clock = clock;
    this.#tell = tell;
    const [requests, answers] = [this.#requests, this.#answers];
    requests[HTTPParser.kOnHeadersComplete] = ({ method, url, upgrade }) => {
      this.#onRequest(HTTPParser.methods[method] ?? "", url, upgrade);
    };
    requests[HTTPParser.kOnBody] = (_chunk, _offset, length) => {
      this.#unheard = 0;
      if (this.#incoming !== undefined) this.#incoming.requestBytes += length;
    };
    answers[HTTPParser.kOnHeadersComplete] = ({ statusCode }) => this.#onAnswer(statusCode);
    answers[HTTPParser.kOnBody] = (_chunk, _offset, length) => {
      this.#unheard = 0;
      const first = this.#pending[0];
      if (first !== undefined) first.responseBytes += length;
    };
    answers[HTTPParser.kOnMessageComplete] = () => this.#onAnswered();
  }

  /** Bytes from the client. */
  request(chunk: Uint8Array): void {
    // What follows a request to upgrade is no HTTP, unless the answer says so.
    if (!this.#upgrading) this.#feed(this.#requests, chunk);
  }

  /** Bytes from the service. */
  answer(chunk: Uint8Array): void {
    this.#feed(this.#answers, chunk);
  }

  /** The connection has ended: an answer without a length ends here, and what was not answered is told so. */
  end(): void {
    if (!this.#blind) {
      try {
        this.#answers.finish();
      } catch {
        this.#blind = true;
      }
    }
    for (const pending of this.#pending.splice(0)) this.#report(pending, pending.status);
  }

  #feed(parser: InstanceType<typeof HTTPParser>, chunk: Uint8Array): void {
    if (this.#blind) return;
    this.#unheard += chunk.length;
    try {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      if (typeof parser.execute(bytes) !== "number" || this.#unheard > mostUnheard) {
        this.#blind = true;
      }
    } catch {
      this.#blind = true;
    }
  }

  #onRequest(method: string, path: string, upgrade: boolean): void {
    this.#unheard = 0;
    if (this.#pending.length >= mostPending) {
      this.#blind = true;
      return;
    }
    const startedAt = this.#clock.now();
    const pending = {
      method,
      path,
      startedAt,
      requestBytes: 0,
      responseBytes: 0,
      status: undefined,
    };
    this.#incoming = pending;
    this.#pending.push(pending);
    this.#upgrading = upgrade;
  }

  /** Returns true where no body follows whatever the header says. */
  #onAnswer(status: number): number | undefined {
    this.#unheard = 0;
    const first = this.#pending[0];
    if (first === undefined) {
      this.#blind = true;
      return undefined;
    }
    if (status >= 100 && status < 200 && status !== 101) return undefined;
    first.status = status;
    if (status === 101) {
      this.#pending.shift();
      this.#report(first, status);
      this.#blind = true;
      return undefined;
    }
    this.#upgrading = false;
    return first.method === "HEAD" ? 1 : undefined;
  }

  #onAnswered(): void {
    const first = this.#pending[0];
    if (first?.status === undefined) return;
    this.#pending.shift();
    this.#report(first, first.status);
  }

  #report(
    { method, path, startedAt, requestBytes, responseBytes }: Pending,
    status?: number,
  ): void {
    const durationMs = millis(this.#clock.now() - startedAt);
    this.#tell({ method, path, status, requestBytes, responseBytes, durationMs });
  }
}

interface Pending {
  readonly method: string;
  readonly path: string;
  readonly startedAt: Millis;
  requestBytes: number;
  responseBytes: number;
  status: number | undefined;
}

/** Requests sent ahead of their answers; beyond this nothing more is told of the connection. */
const mostPending = 64;
/** Header bytes without an end; more than any server takes. */
const mostUnheard = 256 * 1024;
