import type { Random } from "@culvert/runtime";
import { quoteText, type ControlMessage } from "@culvert/wire";

/** What a relay lets a device have, as it says itself; texts of the relay, for people. */
export interface TelebitGrant {
  readonly names: readonly string[];
  readonly ports: readonly number[];
}

/** What to do after a message. */
export type DeviceEffect =
  | { readonly kind: "send"; readonly message: ControlMessage }
  /** Every token was taken. */
  | { readonly kind: "attached" }
  | { readonly kind: "granted"; readonly grant: TelebitGrant }
  /** A token was not taken, or the relay speaks another version: to be closed. */
  | { readonly kind: "refused"; readonly text: string }
  /** Something the relay says that answers nothing. */
  | { readonly kind: "notice"; readonly text: string };

/**
 * The device's end of the control channel of a Telebit relay, without I/O: waits for hello, answers it, sends the tokens, and
 * listens to what it is granted. A new one for each tunnel, so that tokens are sent again. Real relays take neither an answer to
 * `grant` nor to `access_token`.
 */
export class DeviceChannel {
  readonly #random: Random;
  readonly #tokens: readonly string[];
  /** Tokens on their way, by the number of their command. */
  readonly #sent = new Set<number>();
  #greeted = false;
  #granted: TelebitGrant = { names: [], ports: [] };

  constructor(random: Random, tokens: readonly string[]) {
    this.#random = random;
    this.#tokens = tokens;
  }

  /** A message of the relay. */
  handleMessage(message: ControlMessage): readonly DeviceEffect[] {
    switch (message.type) {
      case "command":
        return this.#command(message.id, message.command, message.args);
      case "answer":
        return this.#answer(message.id, message.error);
      case "notice":
        return [{ kind: "notice", text: faultText(message.error) }];
    }
  }

  #command(id: number, command: string, args: readonly unknown[]): readonly DeviceEffect[] {
    switch (command) {
      case "hello":
        return this.#hello(id, args[0]);
      case "grant":
        return this.#grant(args[0]);
      case "access_token":
        return [];
      default:
        return [answer(id, { message: "unknown command", code: "E_UNKNOWN_COMMAND" })];
    }
  }

  #hello(id: number, versions: unknown): readonly DeviceEffect[] {
    // Some relays say none.
    if (Array.isArray(versions) && versions.length > 0 && !versions.includes(1)) {
      const fault = { message: "only version 1 is spoken here", code: "E_VERSION" };
      return [answer(id, fault), { kind: "refused", text: "the relay speaks another version" }];
    }
    // The real client sends its tokens first.
    const tokens = this.#greeted ? [] : this.#tokens.map((token) => this.#addToken(token));
    this.#greeted = true;
    return [...tokens, answer(id, null)];
  }

  #addToken(token: string): DeviceEffect {
    let id: number;
    do id = 10 + Math.floor(this.#random.fraction() * 999_999_990);
    while (this.#sent.has(id));
    this.#sent.add(id);
    return { kind: "send", message: { type: "command", id, command: "add_token", args: [token] } };
  }

  #answer(id: number, error: unknown): readonly DeviceEffect[] {
    if (!this.#sent.delete(id)) return [];
    if (error !== null) {
      return [{ kind: "refused", text: `the relay refused a token: ${faultText(error)}` }];
    }
    return this.#sent.size === 0 ? [{ kind: "attached" }] : [];
  }

  #grant(list: unknown): readonly DeviceEffect[] {
    const { names, ports } = this.#granted;
    const found = grantOf(list);
    this.#granted = {
      names: [...new Set([...names, ...found.names])].slice(0, mostGranted),
      ports: [...new Set([...ports, ...found.ports])].slice(0, mostGranted),
    };
    return [{ kind: "granted", grant: this.#granted }];
  }
}

/** Reads `[["https","a.example.com"],["tcp","tcp.example.com",[20000]],[null],…]`; what is not understood is passed over. */
export function grantOf(list: unknown): TelebitGrant {
  const names = new Set<string>();
  const ports = new Set<number>();
  for (const entry of (Array.isArray(list) ? list : []).slice(0, mostGranted * 4) as unknown[]) {
    if (!Array.isArray(entry)) continue;
    const [service, name, numbers] = entry as unknown[];
    if (service === "https" && typeof name === "string") names.add(name.slice(0, 255));
    if (service !== "tcp" || !Array.isArray(numbers)) continue;
    for (const port of numbers.slice(0, mostGranted) as unknown[]) {
      if (typeof port === "number" && Number.isInteger(port)) ports.add(port);
    }
  }
  return { names: [...names].slice(0, mostGranted), ports: [...ports].slice(0, mostGranted) };
}

function answer(
  id: number,
  error: { readonly message: string; readonly code: string } | null,
): DeviceEffect {
  return { kind: "send", message: { type: "answer", id, error, results: [] } };
}

/** The words of a relay's error, which may be an object, a text, or `{}` as real relays have it for a bad token. */
function faultText(error: unknown): string {
  if (typeof error === "string") return quoteText(error);
  const { message, code } = (error ?? {}) as {
    readonly message?: unknown;
    readonly code?: unknown;
  };
  const words = [code, message].filter((part) => typeof part === "string").join(": ");
  return words === "" ? "it does not say why" : quoteText(words, 200);
}

/** Names, and ports, that are remembered of what the relay says. */
const mostGranted = 256;
