import { createRequire } from "node:module";
import { createServer as createHttpServer } from "node:http";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";

/** A frame as the real unpacker gives it to a handler. */
interface PackerFrame {
  readonly family: string;
  readonly address: string;
  readonly port: string;
  readonly service: string;
  readonly data?: Buffer;
}

/** As much of proxy-packer as a relay uses; the real one, from npm. */
interface ProxyPacker {
  create(handlers: Record<string, (frame: PackerFrame) => void>): {
    readonly fns: { addChunk(chunk: Buffer): void };
  };
  packHeader(meta: object | null, data: unknown, service?: string, andBody?: boolean): Buffer;
}

const packer = createRequire(import.meta.url)("proxy-packer") as ProxyPacker;

/** What a public listener of a {@link PackerRelay} says of its connections. */
export interface PublicListener {
  readonly service: "https" | "http" | "tcp";
  readonly name: string;
  readonly serviceport: number;
}

/**
 * A Telebit relay on the real proxy-packer: discovery document, WebSocket, hello, one good token, and public TCP listeners. As the real
 * relay it sends header and body in messages of their own, `connection` first, and what the client said first behind it.
 */
export class PackerRelay {
  /** Control messages of devices, oldest first. */
  readonly control: unknown[][] = [];
  /** Connections that a device answered by an error. */
  readonly errors: string[] = [];
  goodToken: string;
  readonly #http = createHttpServer();
  readonly #webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
  readonly #listeners: Server[] = [];
  readonly #clients = new Map<string, Socket>();
  #device: WebSocket | undefined;

  constructor(goodToken: string) {
    this.goodToken = goodToken;
    this.#http.on("request", (request, response) => {
      const known = request.url === "/_apis/telebit.cloud/index.json";
      response.writeHead(known ? 200 : 404, { "content-type": "application/json" });
      const body = { api_host: `:hostname:${this.port}`, tunnel: { method: "ws", pathname: "" } };
      response.end(known ? JSON.stringify(body) : "{}");
    });
    this.#http.on("upgrade", (request, socket, head) => {
      this.#webSockets.handleUpgrade(request, socket, head, (device) => this.#greet(device));
    });
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  /** Whether a device is there whose token was good. */
  get attached(): boolean {
    return this.#device !== undefined;
  }

  async listen(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#http.listen(port, "127.0.0.1", resolve));
    return this;
  }

  /** Opens a public port; all its connections are for one name. */
  async open(of: PublicListener): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, (socket) => this.#public(socket, of));
    this.#listeners.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  }

  /** Cuts every device off and stops listening. */
  async close(): Promise<void> {
    for (const client of this.#clients.values()) client.destroy();
    for (const device of this.#webSockets.clients) device.terminate();
    const servers = [this.#http, ...this.#listeners];
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }

  #greet(device: WebSocket): void {
    device.on("error", () => undefined);
    const { fns } = packer.create({
      oncontrol: ({ data }) => this.#hear(device, JSON.parse(String(data)) as unknown[]),
      onmessage: (frame) => this.#clients.get(idOf(frame))?.write(frame.data ?? ""),
      onend: (frame) => this.#clients.get(idOf(frame))?.end(),
      onerror: (frame) => {
        this.errors.push(idOf(frame));
        this.#clients.get(idOf(frame))?.destroy();
      },
      onpause: (frame) => this.#clients.get(idOf(frame))?.pause(),
      onresume: (frame) => this.#clients.get(idOf(frame))?.resume(),
      onconnection: () => undefined,
    });
    device.on("message", (data) => fns.addChunk(data as Buffer));
    device.on("close", () => {
      if (this.#device === device) this.#device = undefined;
      for (const client of this.#clients.values()) client.destroy();
    });
    const commands = ["add_token", "delete_token", "auth", "authn", "authz"];
    this.#say(device, [1, "hello", [1], commands]);
  }

  #hear(device: WebSocket, message: unknown[]): void {
    this.control.push(message);
    const [id, command, token] = message;
    if (command !== "add_token") return;
    if (token !== this.goodToken) {
      // A TypeError made into JSON, as the real one has it.
      this.#say(device, [-Number(id), {}]);
      return;
    }
    this.#device = device;
    this.#say(device, [
      2,
      "grant",
      [["ssh+https", "a.example.com", 443], ["https", "a.example.com"], [null]],
    ]);
    this.#say(device, [-Number(id), null]);
  }

  #public(socket: Socket, { service, name, serviceport }: PublicListener): void {
    const device = this.#device;
    socket.on("error", () => undefined);
    if (device === undefined) {
      socket.destroy();
      return;
    }
    const { remoteFamily: family, remoteAddress: address, remotePort: port } = socket;
    const meta = { family, address, port, serviceport, name, service };
    const id = `${family},${address},${port}`;
    this.#clients.set(id, socket);
    device.send(packer.packHeader({ ...meta }, null, "connection"));
    socket.on("data", (chunk) => {
      // A copy of meta each time: the packer writes into it.
      device.send(packer.packHeader({ ...meta }, chunk, service));
      device.send(chunk);
    });
    socket.on("end", () => device.send(packer.packHeader({ ...meta }, null, "end")));
    socket.on("close", () => this.#clients.delete(id));
  }

  #say(device: WebSocket, message: unknown[]): void {
    const body = Buffer.from(JSON.stringify(message));
    device.send(packer.packHeader(null, body, "control"));
    device.send(body);
  }
}

function idOf({ family, address, port }: PackerFrame): string {
  return `${family},${address},${port}`;
}
