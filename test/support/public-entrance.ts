import { readFile } from "node:fs/promises";
import { createServer as createHttpServer, type IncomingMessage, type Server } from "node:http";
import { connect, type AddressInfo, type Server as NetServer } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import {
  PublicEntrance,
  PublicMetrics,
  webLimitDefaults,
  type NamePolicy,
  type PublicConnection,
  type PublicDevice,
  type WebLimits,
  type WebOptions,
} from "@culvert/relay/web";
import { systemClock, tcpByteStream, TransportError } from "@culvert/runtime";
import { createRegistry, silentLog, type Log, type Registry } from "@culvert/telemetry";
import { run } from "./child.ts";
import { useTempFolder } from "./temp-folder.ts";

/** A public entrance on loopback ports of its own, and its end with the test. */
export interface EntranceUnderTest {
  readonly entrance: PublicEntrance;
  readonly registry: Registry;
  readonly https: number;
  readonly http: number;
  readonly plain: number;
  /** Serves a name by a device. */
  readonly add: (name: string, device: PublicDevice, policy?: Partial<NamePolicy>) => void;
  /** The value of a metric, summed over the samples whose labels are as given. */
  readonly metric: (name: string, labels?: Readonly<Record<string, string>>) => Promise<number>;
}

const loopback = [{ host: "127.0.0.1", port: 0 }];

export async function useEntrance(
  options: Partial<Omit<WebOptions, "limits">> & { limits?: Partial<WebLimits>; log?: Log } = {},
): Promise<EntranceUnderTest> {
  const registry = createRegistry();
  const { limits, log = silentLog, ...web } = options;
  const fallback = await makeCertificate(["fallback.invalid"]);
  const entrance = new PublicEntrance(
    { clock: systemClock, log, metrics: new PublicMetrics(registry), fallback: fallback.pem },
    {
      https: loopback,
      http: loopback,
      plain: loopback,
      names: ["relay.example.com"],
      certificates: [],
      acme: undefined,
      ...web,
      limits: { ...webLimitDefaults, ...limits },
    },
  );
  await entrance.start();
  onTestFinished(() => entrance.close());
  return {
    entrance,
    registry,
    https: entrance.address("https")!.port,
    http: entrance.address("http")!.port,
    plain: entrance.address("plain")!.port,
    add: (name, device, policy = {}) => {
      entrance.names.add(name, device, { tls: "end", http: "forward", ...policy });
    },
    metric: async (name, labels = {}) => {
      const metrics = await registry.getMetricsAsJSON();
      const values = metrics.find((metric) => metric.name === name)?.values ?? [];
      return values
        .filter((sample) =>
          Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
        )
        .reduce((sum, { value }) => sum + value, 0);
    },
  };
}

/** A device that dials a local port for every connection, as an end server would. */
export class LocalDevice implements PublicDevice {
  readonly name: string;
  readonly opened: PublicConnection[] = [];
  connected = true;
  #port: number;

  constructor(name: string, port: number) {
    this.name = name;
    this.#port = port;
  }

  open(connection: PublicConnection): ReturnType<PublicDevice["open"]> {
    this.opened.push(connection);
    return new Promise((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port: this.#port, allowHalfOpen: true });
      socket.once("error", (error) => reject(new TransportError("refused", error.message)));
      socket.once("connect", () => resolve(tcpByteStream(socket)));
    });
  }
}

/** What an echoing site tells of a request. */
export interface Told {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodyBytes: number;
}

/** A local web server that answers with what it was asked. */
export async function useSite(
  handle?: (request: IncomingMessage) => string | undefined,
): Promise<{ server: Server; port: number }> {
  const server = createHttpServer((request, response) => {
    let bodyBytes = 0;
    request.on("data", (chunk: Buffer) => (bodyBytes += chunk.length));
    request.on("end", () => {
      const { method, url, headers } = request;
      response.setHeader("content-type", "application/json");
      response.end(handle?.(request) ?? JSON.stringify({ method, url, headers, bodyBytes }));
    });
  });
  return { server, port: await listenForTest(server) };
}

/** Listens at a free loopback port until the test ends. */
export async function listenForTest(server: NetServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    if ("closeAllConnections" in server) (server as Server).closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

/** A self-signed certificate made by openssl. */
export async function makeCertificate(
  names: readonly string[],
  { days = 30, folder }: { days?: number; folder?: string } = {},
): Promise<{
  certFile: string;
  keyFile: string;
  pem: { certificatePem: string; privateKeyPem: string };
}> {
  const where = folder ?? (await useTempFolder());
  const certFile = join(where, `${names[0]?.replace("*", "_") ?? ""}.crt`);
  const keyFile = certFile.replace(/crt$/, "key");
  const args =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test".split(" ");
  const alternatives = names.map((name) => `DNS:${name}`).join(",");
  const made = await run("openssl", [
    ...args,
    ...["-addext", `subjectAltName=${alternatives}`, "-days", String(days)],
    ...["-out", certFile, "-keyout", keyFile],
  ]);
  if (made.code !== 0) throw new Error(made.stderr);
  const pem = {
    certificatePem: await readFile(certFile, "utf8"),
    privateKeyPem: await readFile(keyFile, "utf8"),
  };
  return { certFile, keyFile, pem };
}
