import { WireError } from "@culvert/runtime";

/** Ways to authenticate (RFC 1928 §3). */
export const SocksMethod = {
  none: 0x00,
  password: 0x02, //     RFC 1929
  unacceptable: 0xff, // none of those the client offers
} as const;

/** One of {@link SocksMethod}. */
export type SocksMethodCode = (typeof SocksMethod)[keyof typeof SocksMethod];

/** Commands of a request (RFC 1928 §4). */
export const SocksCommand = {
  connect: 0x01,
  bind: 0x02,
  udpAssociate: 0x03,
} as const;

/** Answers to a request (RFC 1928 §6). */
export const SocksReply = {
  succeeded: 0x00,
  generalFailure: 0x01,
  notAllowed: 0x02,
  networkUnreachable: 0x03,
  hostUnreachable: 0x04,
  connectionRefused: 0x05,
  ttlExpired: 0x06,
  commandNotSupported: 0x07,
  addressTypeNotSupported: 0x08,
} as const;

/** What a SOCKS5 client says before its bytes flow, in this order. */
export type SocksMessage =
  /** `chosen` is what the server takes, one of {@link SocksMethod}; after `unacceptable` the client says no more. */
  | { readonly kind: "greeting"; readonly methods: readonly number[]; readonly chosen: number }
  | { readonly kind: "credentials"; readonly user: Uint8Array; readonly password: Uint8Array }
  | {
      readonly kind: "request";
      readonly command: number;
      /** A name as it was sent, unchecked and one character for each byte, or an address in text. */
      readonly host: string;
      readonly hostKind: "name" | "ipv4" | "ipv6";
      readonly port: number;
      /** The destination as it was sent, from the address type to the port: a copy, for an answer that repeats it. */
      readonly destination: Uint8Array;
      /** What follows the request and belongs to the connection: a view, valid until the next push. */
      readonly rest: Uint8Array;
    };

/**
 * Decodes the client's side of a SOCKS5 handshake (RFC 1928, RFC 1929) from chunks of any size. It keeps one incomplete message at
 * most, which is less than 520 bytes. After a throw, or behind the request, it takes nothing more.
 */
export class Socks5Decoder {
  readonly #methods: readonly SocksMethodCode[];
  #expects: "greeting" | "credentials" | "request" | "nothing" = "greeting";
  #held = new Uint8Array(0);

  /** @param options - `methods`: what the server takes, the best first; the first of them that the client offers is chosen. */
  constructor(options: { readonly methods: readonly SocksMethodCode[] }) {
    this.#methods = options.methods;
  }

  /**
   * Takes a chunk; returns the messages it completes. Their bytes are copies, but for `rest`.
   * @throws WireError `unsupported_version`, `malformed_message`; `decoder_dead` after either or behind the request.
   */
  push(chunk: Uint8Array): SocksMessage[] {
    if (this.#isOver()) {
      throw new WireError("decoder_dead", "the SOCKS5 handshake is over");
    }
    let bytes = chunk;
    if (this.#held.length > 0) {
      bytes = new Uint8Array(this.#held.length + chunk.length);
      bytes.set(this.#held);
      bytes.set(chunk, this.#held.length);
    }
    const messages: SocksMessage[] = [];
    try {
      for (;;) {
        const decoded = this.#decode(bytes);
        if (decoded === undefined) break;
        messages.push(decoded.message);
        bytes = bytes.subarray(decoded.length);
      }
    } catch (error) {
      this.#expects = "nothing";
      throw error;
    }
    this.#held = this.#isOver() ? new Uint8Array(0) : bytes.slice();
    return messages;
  }

  #isOver(): boolean {
    return this.#expects === "nothing";
  }

  #decode(bytes: Uint8Array): Decoded | undefined {
    switch (this.#expects) {
      case "greeting":
        return this.#greeting(bytes);
      case "credentials":
        return this.#credentials(bytes);
      case "request":
        return this.#request(bytes);
      case "nothing":
        return undefined;
    }
  }

  #greeting(bytes: Uint8Array): Decoded | undefined {
    const [version, count] = bytes;
    assertVersion(version);
    if (count === undefined || bytes.length < 2 + count) return undefined;
    const methods = [...bytes.subarray(2, 2 + count)];
    const chosen =
      this.#methods.find((method) => methods.includes(method)) ?? SocksMethod.unacceptable;
    this.#expects = nextAfter[chosen];
    return { message: { kind: "greeting", methods, chosen }, length: 2 + count };
  }

  #credentials(bytes: Uint8Array): Decoded | undefined {
    const [version, userLength] = bytes;
    if (version !== undefined && version !== passwordVersion) {
      throw malformed(`the password message has version ${version} instead of ${passwordVersion}`);
    }
    if (userLength === undefined) return undefined;
    const passwordLength = bytes[2 + userLength];
    if (passwordLength === undefined) return undefined;
    const length = 3 + userLength + passwordLength;
    if (bytes.length < length) return undefined;
    const user = bytes.slice(2, 2 + userLength);
    const password = bytes.slice(3 + userLength, length);
    this.#expects = "request";
    return { message: { kind: "credentials", user, password }, length };
  }

  #request(bytes: Uint8Array): Decoded | undefined {
    const [version, command, , type] = bytes;
    assertVersion(version);
    if (command === undefined || type === undefined) return undefined;
    const address = readAddress(type, bytes);
    if (address === undefined) return undefined;
    const { host, hostKind, end } = address;
    const [high, low] = bytes.subarray(end);
    if (high === undefined || low === undefined) return undefined;
    const length = end + 2;
    this.#expects = "nothing";
    const rest = bytes.subarray(length);
    const port = high * 256 + low;
    const destination = bytes.slice(3, length);
    const message = { kind: "request", command, host, hostKind, port, destination, rest } as const;
    return { message, length };
  }
}

/** The server's choice of a method (RFC 1928 §3). */
export function encodeMethod(method: number): Uint8Array {
  return Uint8Array.of(socksVersion, method);
}

/** The answer to credentials (RFC 1929 §2). */
export function encodePasswordResult(isRight: boolean): Uint8Array {
  return Uint8Array.of(passwordVersion, isRight ? 0 : 1);
}

/**
 * The answer to a request (RFC 1928 §6). The bound address, from its type to the port, is left open unless given, since the connection
 * leaves from another machine.
 */
export function encodeReply(reply: number, bound: Uint8Array = unspecified): Uint8Array {
  return Uint8Array.of(socksVersion, reply, 0, ...bound);
}

interface Decoded {
  readonly message: SocksMessage;
  readonly length: number;
}

interface Address {
  readonly host: string;
  readonly hostKind: "name" | "ipv4" | "ipv6";
  /** Where the port begins. */
  readonly end: number;
}

/** The address behind the type byte, at offset 4; undefined where it is not complete. */
function readAddress(type: number, bytes: Uint8Array): Address | undefined {
  switch (type) {
    case AddressType.ipv4: {
      if (bytes.length < 8) return undefined;
      return { host: bytes.subarray(4, 8).join("."), hostKind: "ipv4", end: 8 };
    }
    case AddressType.ipv6: {
      if (bytes.length < 20) return undefined;
      const groups = [];
      for (let at = 4; at < 20; at += 2) {
        groups.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16));
      }
      return { host: groups.join(":"), hostKind: "ipv6", end: 20 };
    }
    case AddressType.name: {
      const length = bytes[4];
      if (length === undefined || bytes.length < 5 + length) return undefined;
      const name = bytes.subarray(5, 5 + length);
      return { host: String.fromCharCode(...name), hostKind: "name", end: 5 + length };
    }
    default:
      throw malformed(`there is no address type ${type}`);
  }
}

function assertVersion(version: number | undefined): void {
  if (version === undefined || version === socksVersion) return;
  throw new WireError("unsupported_version", `SOCKS version ${version} instead of 5`, {
    data: { version },
  });
}

function malformed(text: string): WireError {
  return new WireError("malformed_message", `SOCKS5: ${text}`);
}

const AddressType = { ipv4: 0x01, name: 0x03, ipv6: 0x04 } as const;
const nextAfter = {
  [SocksMethod.none]: "request",
  [SocksMethod.password]: "credentials",
  [SocksMethod.unacceptable]: "nothing",
} as const;
const unspecified = Uint8Array.of(AddressType.ipv4, 0, 0, 0, 0, 0, 0);
const socksVersion = 0x05;
const passwordVersion = 0x01;
