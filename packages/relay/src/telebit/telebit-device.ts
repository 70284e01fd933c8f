import {
  LimitError,
  TransportError,
  errorText,
  type ByteStream,
  type Clock,
} from "@culvert/runtime";
import type { ConnectionMeta, Tunnel } from "@culvert/transport";
import {
  coversPublicName,
  encodeFrameHeader,
  mproxyDefaults,
  type ConnectionId,
} from "@culvert/wire";
import type { PublicConnection, PublicDevice } from "../web/public-device.ts";
import { ClientIds } from "./client-ids.ts";
import { DeviceStream } from "./device-stream.ts";
import type { TelebitLimits } from "./telebit-options.ts";
import type { TelebitScope } from "./telebit-scope.ts";

/** What a {@link TelebitDevice} is made from. */
export interface TelebitDeviceDeps {
  readonly clock: Clock;
  readonly tunnel: Tunnel;
  readonly limits: TelebitLimits;
  /** Called for each connection opened. */
  readonly opened: (connection: PublicConnection) => void;
}

/** A Telebit device as the public entrance sees it: connections are opened over its tunnel. */
export class TelebitDevice implements PublicDevice {
  readonly name: string;
  readonly #deps: TelebitDeviceDeps;
  readonly #streams = new Map<DeviceStream, PublicConnection>();
  readonly #ids: ClientIds;
  /** Whether a grant has let it serve, and its tunnel stands. */
  connected = false;

  constructor(name: string, deps: TelebitDeviceDeps) {
    this.name = name;
    this.#deps = deps;
    this.#ids = new ClientIds(deps.clock);
  }

  /** Public connections it has now. */
  get connections(): number {
    return this.#streams.size;
  }

  open(
    connection: PublicConnection,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<ByteStream> {
    return new Promise((resolve) => {
      if (signal.aborted) throw new TransportError("aborted", "the client has gone");
      resolve(this.#open(connection));
    });
  }

  /** Resets the connections for what is in none of the scopes any more. */
  closeUncovered(scopes: readonly TelebitScope[]): void {
    for (const [stream, connection] of [...this.#streams]) {
      if (scopes.some((scope) => covers(scope, connection))) continue;
      stream.destroy(new TransportError("refused", "the device may not serve this any more"));
    }
  }

  #open(connection: PublicConnection): DeviceStream {
    const { clock, tunnel, limits, opened } = this.#deps;
    if (!this.connected) throw new TransportError("no_session", `${this.name} is away`);
    if (this.#streams.size >= limits.connectionsPerDevice) {
      const data = { limit: "connectionsPerDevice", max: limits.connectionsPerDevice };
      const text = `${this.name} has ${limits.connectionsPerDevice} connections already`;
      throw new LimitError("too_many_connections", text, { data });
    }
    if (connection.service !== "tcp" && connection.name === "") {
      // The real device can only fail such a connection, and then takes nothing more.
      throw new TransportError("refused", `a connection for ${connection.service} needs a name`);
    }
    const { family, address } = connection.remote;
    checkFits(metaOf(connection, { family, address, port: longestPort }));
    const id = this.#ids.take(connection.remote);
    if (id === undefined) throw new TransportError("refused", "too many connections of one client");
    const meta = metaOf(connection, id);
    const stream = new DeviceStream({
      clock,
      open: (firstBytes) => tunnel.open(meta, firstBytes),
      firstBytesWait: limits.firstBytesWait,
      settleWait: limits.settleWait,
    });
    this.#streams.set(stream, connection);
    stream.once("close", () => {
      this.#streams.delete(stream);
      this.#ids.release(id);
    });
    opened(connection);
    return stream;
  }
}

function metaOf(connection: PublicConnection, id: ConnectionId): ConnectionMeta {
  const { service, name, servicePort } = connection;
  return {
    id,
    service,
    servicePort: String(servicePort),
    name: service === "tcp" ? "" : name,
  };
}

/** Refuses at once what could not stand in a header: the room for a name is smaller than the longest name of DNS. */
function checkFits({ id, ...rest }: ConnectionMeta): void {
  try {
    const length = mproxyDefaults.maxBodyBytes;
    encodeFrameHeader({ kind: "connection", connection: id, length, ...rest });
  } catch (cause) {
    throw new TransportError("refused", `cannot be told to the device: ${errorText(cause)}`, {
      cause,
    });
  }
}

function covers(
  { domains, ports }: TelebitScope,
  { service, name, servicePort }: PublicConnection,
): boolean {
  if (service === "tcp") return ports.includes(servicePort);
  return domains.some(
    (domain) => coversPublicName(domain, name) || coversPublicName(`*.${domain}`, name),
  );
}

const longestPort = "65535";
