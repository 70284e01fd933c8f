import { isIP } from "node:net";
import { TransportError } from "@culvert/runtime";
import type { DialOptions, UdpAddress } from "../engine.ts";
import { loadAddon, type NativeClient, type NativeConnection } from "./addon.ts";
import { dialErrorFromQuinn, formatAddress } from "./from-quinn.ts";
import { createNativeConfig } from "./native-config.ts";
import { NativeWeight } from "./native-weight.ts";

/** A UDP socket to dial from. Each dial has one of its own, since the addon can give up a dial only by closing its socket. */
export class DialSocket {
  /** Of the native socket. */
  readonly weight = new NativeWeight(receiveBufferBytes);
  readonly #native: NativeClient;
  readonly #address: UdpAddress;

  /** @throws TransportError `engine_missing`, or `dial_failed` where the address is none or there is no socket. */
  constructor({ address, identity, settings }: DialOptions) {
    const addon = loadAddon();
    const version = isIP(address.host);
    if (version === 0) {
      const data = { ...address };
      const text = `${formatAddress(address)} is no IP address`;
      throw new TransportError("dial_failed", text, { data });
    }
    const config = createNativeConfig(addon, identity, settings);
    this.#address = address;
    try {
      this.#native = new addon.Client(config, version === 4 ? 0 : 1);
    } catch (error) {
      throw dialErrorFromQuinn(error, address);
    }
  }

  /**
   * Connects; {@link close} makes it fail.
   * @throws TransportError as of `QuicEngine.dial`.
   */
  async connect(): Promise<NativeConnection> {
    try {
      return await this.#native.outboundConnection(this.#address.host, this.#address.port);
    } catch (error) {
      throw dialErrorFromQuinn(error, this.#address);
    }
  }

  /** Closes what was or is being dialled, without a word to the application at the other end. */
  close(): void {
    this.#native.abort();
  }
}

/** quinn's receive buffers: 32 reads of 64 segments of 1,472 bytes. */
const receiveBufferBytes = 32 * 64 * 1472;
