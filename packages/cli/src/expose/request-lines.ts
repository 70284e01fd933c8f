import type { Exchange, PublicConnectionEnd, PublicObserver } from "@culvert/end-server-proxy";
import { formatByteSize, formatMillis, millis, type Clock } from "@culvert/runtime";
import type { PublicOffer } from "@culvert/wire";
import pc from "picocolors";

/** Where the lines go, and how. */
export interface RequestLinesOptions {
  readonly clock: Clock;
  readonly write: (text: string) => void;
  /** JSON lines for programs, else text for people. */
  readonly json: boolean;
  /** Colours, and columns as wide as the terminal; undefined where it is none. */
  readonly terminal: { readonly columns: number } | undefined;
}

/** Shows what passes, a line for each request. All texts come from strangers: nothing of theirs reaches the terminal unescaped. */
export class RequestLines implements PublicObserver {
  readonly #options: RequestLinesOptions;
  readonly #paint: ReturnType<typeof pc.createColors>;
  #requests = 0;
  #connections = 0;
  #bytes = 0;

  constructor(options: RequestLinesOptions) {
    this.#options = options;
    this.#paint = pc.createColors(options.terminal !== undefined);
  }

  /** The service is public now. */
  opened(url: string, to: string): void {
    if (this.#options.json) this.#json("open", { url, to });
    else this.#say(`${this.#paint.bold(url)} leads to ${to}. Ctrl-C ends it.`);
  }

  /** The link to the relay was lost, or could not be made again yet. */
  interrupted(reason: string): void {
    if (this.#options.json) this.#json("interrupted", { reason });
    else this.#say(this.#paint.yellow(`not public at the moment: ${shown(reason)}`));
  }

  exchange({ remote }: PublicOffer, exchange: Exchange): void {
    const { method, path, status, requestBytes, responseBytes, durationMs } = exchange;
    this.#requests += 1;
    if (this.#options.json) {
      const { address, port } = remote;
      this.#json("request", {
        ...{ method, path, status: status ?? null, requestBytes, responseBytes },
        ...{ durationMs: Math.round(durationMs * 10) / 10, remote: address, remotePort: port },
      });
      return;
    }
    const columns = [
      shown(method, 12).padEnd(7),
      this.#status(status),
      formatMillis(millis(Math.round(durationMs))).padStart(7),
      formatByteSize(responseBytes).padStart(9),
      remote.address.padEnd(15),
      shown(path, Math.max(20, (this.#options.terminal?.columns ?? 200) - beforePath - 3)),
    ];
    this.#line(columns.join(" "));
  }

  ended({ remote }: PublicOffer, connection: PublicConnectionEnd): void {
    const { protocol, bytesUp, bytesDown, durationMs, failure } = connection;
    this.#connections += 1;
    this.#bytes += bytesUp + bytesDown;
    // HTTP tells of itself request by request.
    if (protocol === "http") return;
    if (this.#options.json) {
      const { address, port } = remote;
      this.#json("connection", {
        ...{ protocol, bytesUp, bytesDown, durationMs: Math.round(durationMs) },
        ...{ remote: address, remotePort: port, failure: failure ?? null },
      });
      return;
    }
    const size = `${formatByteSize(bytesUp)} in, ${formatByteSize(bytesDown)} out`;
    const why = failure === undefined ? "" : `: ${shown(failure)}`;
    const took = formatMillis(millis(Math.round(durationMs)));
    this.#line(`${protocol} connection of ${remote.address}, ${size}, ${took}${why}`);
  }

  unreachable({ remote }: PublicOffer, reason: string): void {
    if (this.#options.json) this.#json("unreachable", { remote: remote.address, reason });
    else this.#line(this.#paint.red(`502     ${shown(reason)} (asked for by ${remote.address})`));
  }

  /** The last line. */
  closed(): void {
    const [requests, connections, bytes] = [this.#requests, this.#connections, this.#bytes];
    if (this.#options.json) this.#json("closed", { requests, connections, bytes });
    else {
      this.#say(
        `closed: ${requests} requests, ${connections} connections, ${formatByteSize(bytes)}`,
      );
    }
  }

  #status(status: number | undefined): string {
    if (status === undefined) return this.#paint.red("---");
    const text = String(status);
    if (status >= 500) return this.#paint.red(text);
    if (status >= 400) return this.#paint.yellow(text);
    return status >= 300 ? this.#paint.cyan(text) : this.#paint.green(text);
  }

  #line(text: string): void {
    const time = new Date(this.#options.clock.wallNowMs()).toTimeString().slice(0, 8);
    this.#say(`${this.#paint.dim(time)} ${text}`);
  }

  #say(text: string): void {
    this.#options.write(`${text}\n`);
  }

  #json(event: string, fields: Record<string, unknown>): void {
    const time = new Date(this.#options.clock.wallNowMs()).toISOString();
    this.#options.write(`${JSON.stringify({ event, time, ...fields })}\n`);
  }
}

/** A stranger's text in one line: whatever is not printable ASCII is escaped, and what is too long is cut. */
function shown(text: string, most = 200): string {
  const cut = text.length > most ? `${text.slice(0, most)}...` : text;
  return cut.replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Columns before the path. */
const beforePath = 9 + 8 + 4 + 8 + 10 + 16;
