import { ConfigError, LimitError } from "@culvert/runtime";
import { parsePublicName } from "@culvert/wire";
import type { PublicDevice } from "./public-device.ts";

/** How connections for a name are treated. */
export interface NamePolicy {
  /** `pass`: the device ends TLS. `end`: the relay does, and the device gets HTTP. */
  readonly tls: "pass" | "end";
  /** What plain HTTP gets: the device's answer, or a redirect to https. */
  readonly http: "forward" | "redirect";
}

/** A device that serves a name. */
export interface NameRoute {
  /** The name or wildcard it was added by. */
  readonly pattern: string;
  readonly device: PublicDevice;
  readonly policy: NamePolicy;
}

/** Bounds of a {@link NameTable}. */
export interface NameTableLimits {
  /** Names in all. */
  readonly names: number;
  /** Names of one device. */
  readonly namesPerDevice: number;
}

/**
 * Which devices serve a name: an exact name goes before the longest wildcard, and several devices of one name take turns.
 * `*.example.com` stands for every name below `example.com`, however deep, and not for `example.com` itself.
 */
export class NameTable {
  readonly #entries = new Map<string, NameEntry>();
  readonly #perDevice = new Map<PublicDevice, number>();
  readonly #own: ReadonlySet<string>;
  readonly #limits: NameTableLimits;
  #names = 0;
  #onChange: (() => void) | undefined;

  constructor(own: readonly string[], limits: NameTableLimits) {
    this.#own = new Set(own.map(parsePublicName));
    this.#limits = limits;
  }

  /** Calls back whenever a name came or went; for one listener. */
  onChange(callback: () => void): void {
    this.#onChange = callback;
  }

  /** Names there are, one for each device of a name. */
  get size(): number {
    return this.#names;
  }

  /** Whether a name is the relay's own: those it was told, or, where it was told none, every one that nobody serves. */
  isOwn(name: string): boolean {
    return this.#own.size === 0 ? this.#find(name) === undefined : this.#own.has(name);
  }

  /** Whether a name was told to the relay as its own. */
  isNamed(name: string): boolean {
    return this.#own.has(name);
  }

  /**
   * Adds a device under a name or wildcard. Returns the function that takes it away again; calling it twice does nothing.
   * @throws ConfigError `bad_name` where it is none, or is the relay's own; LimitError `queue_full`, whose `data.limit` is
   * `names` or `namesPerDevice`.
   */
  add(text: string, device: PublicDevice, policy: NamePolicy): () => void {
    const pattern = parsePublicName(text);
    if (this.#own.has(pattern)) {
      throw new ConfigError("bad_name", `${pattern} is the relay's own name`);
    }
    this.#admit(device);
    const entry = this.#entries.get(pattern) ?? { routes: [], turn: 0 };
    this.#entries.set(pattern, entry);
    const route: NameRoute = { pattern, device, policy };
    entry.routes.push(route);
    this.#count(device, 1);
    return () => {
      const index = entry.routes.indexOf(route);
      if (index < 0) return;
      entry.routes.splice(index, 1);
      if (entry.routes.length === 0) this.#entries.delete(pattern);
      this.#count(device, -1);
    };
  }

  /**
   * Whose turn it is at a name, which must be in lower case: a connected device where there is one, else one that is away;
   * undefined where nobody serves the name. Every call that finds a connected device takes one turn.
   */
  next(name: string): NameRoute | undefined {
    const entry = this.#find(name);
    if (entry === undefined) return undefined;
    const { routes } = entry;
    for (let tried = 0; tried < routes.length; tried += 1) {
      const index = (entry.turn + tried) % routes.length;
      const route = routes[index];
      if (route?.device.connected !== true) continue;
      entry.turn = (index + 1) % routes.length;
      return route;
    }
    return routes[0];
  }

  /** Every name and its device, for status. */
  *list(): Iterable<NameRoute> {
    for (const { routes } of this.#entries.values()) yield* routes;
  }

  #find(name: string): NameEntry | undefined {
    const exact = this.#entries.get(name);
    if (exact !== undefined || name.startsWith("*")) return exact;
    for (let dot = name.indexOf("."); dot >= 0; dot = name.indexOf(".", dot + 1)) {
      const entry = this.#entries.get(`*${name.slice(dot)}`);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  #admit(device: PublicDevice): void {
    const { names, namesPerDevice } = this.#limits;
    if (this.#names >= names) {
      const data = { limit: "names", max: names };
      throw new LimitError("queue_full", `the relay serves ${names} names already`, { data });
    }
    if ((this.#perDevice.get(device) ?? 0) < namesPerDevice) return;
    throw new LimitError("queue_full", `${device.name} has ${namesPerDevice} names already`, {
      data: { limit: "namesPerDevice", max: namesPerDevice },
    });
  }

  #count(device: PublicDevice, change: 1 | -1): void {
    this.#names += change;
    const count = (this.#perDevice.get(device) ?? 0) + change;
    if (count === 0) this.#perDevice.delete(device);
    else this.#perDevice.set(device, count);
    this.#onChange?.();
  }
}

interface NameEntry {
  readonly routes: NameRoute[];
  /** Index of the route whose turn is next. */
  turn: number;
}
