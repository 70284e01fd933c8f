import { createRequire } from "node:module";
import { errorText, systemCode, TransportError } from "@culvert/runtime";

/*
 * The part of the native addon that the engine uses, as the addon behaves (it ships no types). What it cannot do shapes the
 * engine: every error is a bare string; resets and closes carry code 0; a pending `read` holds the receiving half, so that
 * `stopRead` waits behind it, and a pending `write` holds the sending half before `finishWrite` and `resetWrite`. A panic in
 * the addon ends the process, so calls that can panic (`port` after `abort`) must not be made.
 */

/** The addon's exports. */
export interface QuinnAddon {
  readonly QuinnConfig: new (options: NativeConfigOptions) => NativeConfig;
  readonly Server: new (config: NativeConfig, ip: string, port: number) => NativeServer;
  readonly Client: new (config: NativeConfig, family: NativeSocketFamily) => NativeClient;
}

/** 0 binds 0.0.0.0, 1 binds [::] without IPv4. */
export type NativeSocketFamily = 0 | 1;

/** Every number is a u32: durations in ms, sizes in bytes. All fields are required. */
export interface NativeConfigOptions {
  readonly privateKeyProto: Uint8Array;
  /** Ignored by the addon: the engine has its own deadline. */
  readonly handshakeTimeout: number;
  readonly shutdownTimeout: number;
  readonly maxIdleTimeout: number;
  readonly keepAliveInterval: number;
  readonly maxConcurrentStreamLimit: number;
  readonly maxStreamData: number;
  readonly maxConnectionData: number;
  /** Socket buffers of a client; a server keeps the kernel's default. */
  readonly receiveBufferSize: number;
  readonly sendBufferSize: number;
}

declare const nativeConfig: unique symbol;

/** An opaque configuration with its own fresh certificate. */
export interface NativeConfig {
  readonly [nativeConfig]: never;
}

/** A bound port that accepts connections. */
export interface NativeServer {
  /** The bound port. Ends the process if called after `abort`. */
  port(): number;
  /** Waits for an incoming connection and its whole handshake; rejects for a failed handshake and once the server is closed. */
  inboundConnection(): Promise<NativeConnection>;
  /** Closes every connection, waits for their draining, and unbinds. */
  abort(): Promise<void>;
  stats(): NativeEndpointStats;
}

/** A socket of its own to dial from; it is closed when garbage collection finds that nothing uses it. */
export interface NativeClient {
  outboundConnection(ip: string, port: number): Promise<NativeConnection>;
  abort(): void;
}

/** An established connection whose peer has proved its identity. */
export interface NativeConnection {
  inboundStream(): Promise<NativeStream>;
  /** Waits where the peer allows no more streams now. */
  outboundStream(): Promise<NativeStream>;
  abort(): void;
  /** `/ip4/192.0.2.7/udp/4433/quic-v1/p2p/12D3KooW…`. */
  remoteMultiaddr(): string;
  /** Milliseconds. */
  rtt(): number;
  stats(): NativeConnectionStats;
}

/** Both directions of a stream. */
export interface NativeStream {
  /** The stream's number among those of its opener and direction. Throws while a write is pending. */
  id(): string;
  /**
   * At most `maxBytes` bytes, which the caller then owns; null after FIN, and also on every call after a reset. Once the connection is
   * over it gives what had arrived before, and then fails.
   */
  read(maxBytes: number): Promise<Uint8Array | null>;
  /** Resolves when all of `data` is in quinn's send buffer; until then `data` is read by another thread. */
  write(data: Uint8Array): Promise<void>;
  /** Resolves when FIN is in quinn's hands, also where the peer has stopped the stream or the connection is over. */
  finishWrite(): Promise<void>;
  resetWrite(): Promise<void>;
  stopRead(): Promise<void>;
}

/** Counters of an endpoint, as u32. */
export interface NativeEndpointStats {
  readonly acceptedHandshakes: number;
  readonly refusedHandshakes: number;
  readonly ignoredHandshakes: number;
}

/** Counters of a connection; each is a u32 that wraps around. */
export interface NativeConnectionStats {
  readonly udpTxDatagrams: number;
  readonly udpTxBytes: number;
  readonly udpRxDatagrams: number;
  readonly udpRxBytes: number;
  readonly pathLostPackets: number;
  /** STREAM frames sent, anew or for the first time. */
  readonly frameTxStream: number;
  readonly frameTxPing: number;
  readonly frameRxAcks: number;
  readonly pathSentPlpmtudProbes: number;
}

/**
 * Loads the addon, on the first call; by default that of this machine.
 * @throws TransportError `engine_missing` naming the package and how to install it.
 */
export function loadAddon(
  platform: string = process.platform,
  arch: string = process.arch,
): QuinnAddon {
  const failures: unknown[] = [];
  const names = packageNames(platform, arch);
  for (const name of names) {
    try {
      return requireHere(name) as QuinnAddon;
    } catch (error) {
      failures.push(error);
    }
  }
  const [name] = names;
  if (name === undefined) {
    throw new TransportError(
      "engine_missing",
      `there is no quinn addon for ${platform} on ${arch}`,
    );
  }
  const broken = failures.find((error) => systemCode(error) !== "MODULE_NOT_FOUND");
  const why = broken === undefined ? "is not installed" : `does not load: ${errorText(broken)}`;
  throw new TransportError(
    "engine_missing",
    `the quinn engine needs the package ${name}, which ${why}; run: npm install ${name}@${addonVersion}`,
    { data: { packages: names }, cause: broken ?? failures[0] },
  );
}

/** Whether the addon of this platform is installed and loads. */
export function quinnAvailable(): boolean {
  try {
    loadAddon();
    return true;
  } catch {
    return false;
  }
}

/** The packages that may hold the addon of a platform, likeliest first; none where it is not built. */
function packageNames(platform: string, arch: string): readonly string[] {
  return (builds[`${platform}-${arch}`] ?? []).map((build) => `@chainsafe/libp2p-quic-${build}`);
}

/** Which C library a Linux has is found out by trying: the other one's addon does not load. */
const builds: Partial<Record<string, readonly string[]>> = {
  "linux-x64": ["linux-x64-gnu", "linux-x64-musl"],
  "linux-arm64": ["linux-arm64-gnu", "linux-arm64-musl"],
  "darwin-x64": ["darwin-x64"],
  "darwin-arm64": ["darwin-arm64"],
  "win32-x64": ["win32-x64-msvc"],
};

/** The version this engine is tested with. */
const addonVersion = "2.1.4";

const requireHere = createRequire(import.meta.url);
