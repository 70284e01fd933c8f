import { createRequire } from "node:module";
import { WebSocket, type ClientOptions } from "ws";
import { waitUntil, within } from "../../support/wait.ts";

/** A frame as the real unpacker gives it to a handler. */
export interface PackerFrame {
  readonly family: string;
  readonly address: string;
  readonly port: string;
  readonly service: string;
  readonly serviceport?: string;
  readonly name?: string;
  readonly data?: Buffer;
  /** Of `error` frames. */
  readonly message?: string;
  readonly code?: string;
}

/** What a frame was, in the words of the real unpacker's handlers. */
export type FrameKind = "connection" | "message" | "end" | "error" | "pause" | "resume";

/** As much of proxy-packer as a device uses; the real one, from npm. */
interface ProxyPacker {
  create(handlers: Record<string, (frame: PackerFrame) => void>): {
    readonly fns: { addChunk(chunk: Buffer): void };
  };
  packHeader(meta: object | null, data: unknown, service?: string, andBody?: boolean): Buffer;
  pack(meta: object | null, data: unknown, service?: string): Buffer;
}

/** The real packer. */
export const packer = createRequire(import.meta.url)("proxy-packer") as ProxyPacker;

/**
 * A Telebit device on the real proxy-packer and a WebSocket: packs as the real client does, header and body in messages of their
 * own, and keeps everything it hears. It does nothing by itself; the tests say what.
 */
export class PackerDevice {
  /** Control messages, oldest first. */
  readonly control: unknown[][] = [];
  /** All other frames, oldest first. */
  readonly frames: { readonly kind: FrameKind; readonly frame: PackerFrame }[] = [];
  /** Called for every frame but control, after it was kept. */
  onFrame: (kind: FrameKind, frame: PackerFrame) => void = () => undefined;
  readonly webSocket: WebSocket;
  /** Code and text of the close frame, or 1006. */
  closed: { readonly code: number; readonly text: string } | undefined;
  /** The HTTP status where the relay would not open the WebSocket. */
  refused: number | undefined;
  #nextId = 1_000;

  constructor(url: string, options: ClientOptions = {}) {
    const keep =
      (kind: FrameKind) =>
      (frame: PackerFrame): void => {
        this.frames.push({ kind, frame });
        this.onFrame(kind, frame);
      };
    const machine = packer.create({
      oncontrol: ({ data }) => this.control.push(JSON.parse(String(data)) as unknown[]),
      onconnection: keep("connection"),
      onmessage: keep("message"),
      onend: keep("end"),
      onerror: keep("error"),
      onpause: keep("pause"),
      onresume: keep("resume"),
    });
    this.webSocket = new WebSocket(url, options);
    this.webSocket.on("error", () => undefined);
    this.webSocket.on("unexpected-response", (_request, response) => {
      this.refused = response.statusCode;
      this.webSocket.terminate();
    });
    this.webSocket.on("message", (data) => machine.fns.addChunk(data as Buffer));
    this.webSocket.on("close", (code, text) => (this.closed = { code, text: text.toString() }));
  }

  /** Waits for hello and answers it, as the real client does. */
  async greet(): Promise<this> {
    await waitUntil("hello", () => this.control.some(([, command]) => command === "hello"));
    this.send(null, [-1, null], "control");
    return this;
  }

  /** Sends a command and resolves with the error in its answer, null where it succeeded. */
  async command(name: string, ...args: unknown[]): Promise<unknown> {
    const id = this.#nextId++;
    this.send(null, [id, name, ...args], "control");
    return waitUntil(`the answer to ${name}`, () => {
      const answer = this.control.find(([number]) => number === -id);
      return answer && { error: answer[1] };
    }).then(({ error }) => error);
  }

  /** Packs and sends a frame as the real client does; `body` that is no Buffer goes as JSON. */
  send(meta: Partial<PackerFrame> | null, body: unknown, service?: string): void {
    // The real packer writes into what it is given.
    const copy = meta && { ...meta };
    const header = packer.packHeader(copy, body, service, !Buffer.isBuffer(body));
    this.webSocket.send(header, { binary: true });
    if (Buffer.isBuffer(body)) this.webSocket.send(body, { binary: true });
  }

  /** Sends bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.webSocket.send(bytes, { binary: true });
  }

  /** The frames of one kind, oldest first. */
  of(kind: FrameKind): PackerFrame[] {
    return this.frames.filter((each) => each.kind === kind).map(({ frame }) => frame);
  }

  /** Waits for the first frame of a kind. */
  first(kind: FrameKind): Promise<PackerFrame> {
    return waitUntil(`a frame: ${kind}`, () => this.of(kind)[0], { everyMs: 5 });
  }

  /** Everything the relay has sent for a connection so far. */
  received(): string {
    return this.frames
      .filter(({ kind }) => kind === "connection" || kind === "message")
      .map(({ frame }) => frame.data?.toString() ?? "")
      .join("");
  }

  /** Waits until the relay closes the WebSocket. */
  async isClosed(ms = 5_000): Promise<{ readonly code: number; readonly text: string }> {
    return waitUntil("close", () => this.closed, { withinMs: ms });
  }

  /** Closes the WebSocket. */
  async close(): Promise<void> {
    const { webSocket } = this;
    if (webSocket.readyState === WebSocket.CLOSED) return;
    const closed = new Promise((resolve) => webSocket.once("close", resolve));
    webSocket.terminate();
    await within(5_000, "the device's close", closed);
  }
}
