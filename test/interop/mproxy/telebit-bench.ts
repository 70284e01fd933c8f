import { createSecretKey } from "node:crypto";
import { connect, type Socket } from "node:net";
import { PassThrough } from "node:stream";
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from "node:tls";
import { createCertificate, generateIdentity } from "@culvert/identity";
import {
  mintToken,
  telebitLimitDefaults,
  TelebitMetrics,
  TelebitRelay,
  TokenVerifier,
  type TelebitLimits,
  type TelebitPolicy,
} from "@culvert/relay/telebit";
import {
  PublicEntrance,
  PublicMetrics,
  webLimitDefaults,
  type CertificateFiles,
} from "@culvert/relay/web";
import { systemClock } from "@culvert/runtime";
import { createLog, Registry } from "@culvert/telemetry";
import { shutdownReason } from "@culvert/transport";
import { onTestFinished } from "vitest";
import type { ClientOptions } from "ws";
import { freePort } from "../../support/ports.ts";
import { within } from "../../support/wait.ts";
import { PackerDevice } from "./packer-device.ts";

/** What a bench may be told. */
export interface BenchOptions {
  readonly limits?: Partial<TelebitLimits>;
  /** Port of the relay's TLS listener; any free one if it is not given. */
  readonly httpsPort?: number;
  /** The relay's own certificate; self-signed for nobody if it is not given. */
  readonly certificate?: CertificateFiles;
  /** Wall-clock time of the relay, milliseconds after the real one. */
  readonly aheadMs?: number;
}

/** Our relay's public entrance and its Telebit side, on real sockets of 127.0.0.1. */
export class TelebitBench {
  /** The relay's own name. */
  readonly host = "localhost";
  readonly entrance: PublicEntrance;
  readonly telebit: TelebitRelay;
  readonly registry = new Registry();
  /** First of the ten TCP ports that tokens may name. */
  readonly firstPort: number;
  readonly #secret = createSecretKey(Buffer.from("an interop secret of some length"));
  readonly #log: PassThrough;
  readonly #devices: PackerDevice[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(
    firstPort: number,
    fallback: { readonly certificatePem: string; readonly privateKeyPem: string },
    options: BenchOptions,
  ) {
    this.firstPort = firstPort;
    this.#log = new PassThrough({ highWaterMark: 64 * 1024 * 1024 });
    const log = createLog({ level: "debug", format: "json", destination: this.#log });
    const clock = {
      ...systemClock,
      wallNowMs: () => systemClock.wallNowMs() + (options.aheadMs ?? 0),
    };
    const local = (port = 0): { host: string; port: number } => ({ host: "127.0.0.1", port });
    this.entrance = new PublicEntrance(
      { clock, log, metrics: new PublicMetrics(this.registry), fallback },
      {
        https: [local(options.httpsPort)],
        http: [local()],
        plain: [local()],
        names: [this.host],
        certificates: options.certificate === undefined ? [] : [options.certificate],
        acme: undefined,
        limits: webLimitDefaults,
      },
    );
    const policy: TelebitPolicy = {
      domains: ["*.example.com", "*.localhost"],
      ports: [{ first: firstPort, last: firstPort + 9 }],
    };
    this.telebit = new TelebitRelay(
      {
        clock,
        log,
        metrics: new TelebitMetrics(this.registry),
        verifier: new TokenVerifier(clock, {
          secret: this.#secret,
          policy,
          policyOfPeer: () => undefined,
          audience: "",
        }),
        names: this.entrance.names,
        ports: this.entrance.ports,
      },
      {
        limits: { ...telebitLimitDefaults, ...options.limits },
        portHost: "127.0.0.1",
        publicHost: this.host,
        policy: { tls: "pass", http: "redirect" },
      },
    );
    for (const where of ["https", "plain"] as const) {
      this.entrance.addUpgrades(this.telebit.upgrades, where);
    }
    this.entrance.addPages(this.telebit.pages);
  }

  /** Starts one that ends with the test. */
  static async start(options: BenchOptions = {}): Promise<TelebitBench> {
    const now = { wallNowMs: systemClock.wallNowMs() };
    const firstPort = await freePort([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const fallback = await createCertificate(generateIdentity(), now);
    const bench = new TelebitBench(firstPort, fallback, options);
    await bench.entrance.start();
    onTestFinished(() => bench.close());
    return bench;
  }

  /** The port of a listener. */
  port(kind: "https" | "http" | "plain"): number {
    const address = this.entrance.address(kind);
    if (address === undefined) throw new Error(`no listener for ${kind}`);
    return address.port;
  }

  /** Everything that was logged so far, as it stands. */
  log(): string {
    const chunk = this.#log.read() as Buffer | null;
    if (chunk !== null) this.#logged += chunk.toString();
    return this.#logged;
  }
  #logged = "";

  /** A token for these names and ports, good for an hour. */
  token(domains: readonly string[], ports: readonly number[] = []): Promise<string> {
    const nowMs = systemClock.wallNowMs();
    return mintToken(this.#secret, {
      scope: { domains, ports },
      nowMs,
      expiresAtMs: nowMs + 3_600_000,
      audience: undefined,
    });
  }

  /** A device that has connected, and done nothing else. */
  connect(path = "/", options: ClientOptions = {}): PackerDevice {
    const url = `wss://127.0.0.1:${this.port("https")}${path}`;
    const device = new PackerDevice(url, { rejectUnauthorized: false, ...options });
    this.#devices.push(device);
    return device;
  }

  /** A device that holds a token for these names and ports. */
  async device(domains: readonly string[], ports: readonly number[] = []): Promise<PackerDevice> {
    const device = await this.connect().greet();
    const error = await device.command("add_token", await this.token(domains, ports));
    if (error !== null) throw new Error(`add_token: ${JSON.stringify(error)}`);
    return device;
  }

  /** A client of a public port. */
  async client(port: number): Promise<Socket> {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true, noDelay: true });
    this.#keep(socket);
    await opened(socket, "connect");
    return socket;
  }

  /** A client of a public name, by TLS to the https listener; who ends it is not the client's business. */
  async tlsClient(servername: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = connectTls({
      host: "127.0.0.1",
      port: this.port("https"),
      servername,
      rejectUnauthorized: false,
      ...options,
    });
    this.#keep(socket);
    await opened(socket, "secureConnect");
    return socket;
  }

  /** Ends everything. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#devices.map((device) => device.close()));
    await within(10_000, "the devices' release", this.telebit.close(shutdownReason));
    await this.entrance.close();
  }

  #keep(socket: Socket): void {
    socket.on("error", () => undefined);
    this.#sockets.add(socket);
  }
}

function opened(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
  const done = new Promise<void>((resolve, reject) => {
    socket.once(event, () => {
      resolve();
    });
    socket.once("error", reject);
    socket.once("close", () => {
      reject(new Error("closed before it was open"));
    });
  });
  return within(5_000, event, done);
}

/** Collects what a socket receives. */
export function collect(socket: Socket): { text: string; ended: boolean; closed: boolean } {
  const got = { text: "", ended: false, closed: false };
  socket.on("data", (chunk: Buffer) => (got.text += chunk.toString("latin1")));
  socket.on("end", () => (got.ended = true));
  socket.on("close", () => (got.closed = true));
  return got;
}

/** A ClientHello of TLS 1.2 that asks for a name, which may be any text. */
export function clientHello(serverName: string): Buffer {
  const name = Buffer.from(serverName, "latin1");
  const sni = Buffer.concat([u16(name.length + 3), Buffer.of(0), u16(name.length), name]);
  const extensions = Buffer.concat([u16(0), u16(sni.length), sni]);
  const body = Buffer.concat([
    Buffer.of(3, 3),
    Buffer.alloc(32, 7),
    Buffer.of(0),
    u16(2),
    u16(0xc02f),
    Buffer.of(1, 0),
    u16(extensions.length),
    extensions,
  ]);
  const handshake = Buffer.concat([Buffer.of(1, 0), u16(body.length), body]);
  return Buffer.concat([Buffer.of(22, 3, 1), u16(handshake.length), handshake]);
}

function u16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 255);
}
