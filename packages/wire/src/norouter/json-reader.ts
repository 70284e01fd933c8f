import { WireError } from "@culvert/runtime";
import { canonicalIpv6, isIpv4 } from "../ip-address.ts";
import { quoteText } from "../quote-text.ts";

/**
 * Reads JSON values as Go's encoding/json fills its structs: names of members in any case, unknown members ignored, null and
 * absent alike the zero value, anything of another kind an error that names the place.
 */
export class JsonObject {
  readonly #path: string;
  readonly #members = new Map<string, unknown>();

  /** @throws WireError `malformed_message` where the value is neither an object nor null. */
  constructor(value: unknown, path: string) {
    this.#path = path;
    if (value === null) return;
    if (typeof value !== "object" || Array.isArray(value)) throw mustBe(path, "an object", value);
    // The last of several members wins, whatever case each is in.
    for (const [key, member] of Object.entries(value)) this.#members.set(fold(key), member);
  }

  /** Where a member is, for messages. */
  pathOf(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }

  /** The member as it is; undefined only where it is absent. */
  raw(key: string): unknown {
    return this.#members.get(fold(key));
  }

  /** A text; "" where absent. */
  text(key: string): string {
    return textOf(this.#valueOf(key) ?? "", this.pathOf(key));
  }

  /** A truth value; false where absent. */
  flag(key: string): boolean {
    const value = this.#valueOf(key) ?? false;
    if (typeof value !== "boolean") throw mustBe(this.pathOf(key), "true or false", value);
    return value;
  }

  /** A whole number from 0 to `max`; 0 where absent. */
  count(key: string, max: number): number {
    return countOf(this.#valueOf(key) ?? 0, max, this.pathOf(key));
  }

  /** An IP address in its canonical form; "" where absent or empty. */
  address(key: string): string {
    return addressOf(this.#valueOf(key) ?? "", this.pathOf(key));
  }

  /** A list, each element read by `read`; empty where absent. Null elements are the zero value of theirs. */
  list<Element>(
    key: string,
    zero: unknown,
    read: (value: unknown, path: string) => Element,
  ): Element[] {
    const value = this.#valueOf(key) ?? [];
    const path = this.pathOf(key);
    if (!Array.isArray(value)) throw mustBe(path, "a list", value);
    return value.map((element: unknown, index) => read(element ?? zero, `${path}[${index}]`));
  }

  /** An object; an empty one where absent. */
  object(key: string): JsonObject {
    return new JsonObject(this.#valueOf(key), this.pathOf(key));
  }

  /** A map from texts, whose case counts, to addresses; empty where absent. */
  addresses(key: string): Map<string, string> {
    const value = this.#valueOf(key);
    const path = this.pathOf(key);
    if (value === null) return new Map();
    if (typeof value !== "object" || Array.isArray(value)) throw mustBe(path, "an object", value);
    return new Map(
      Object.entries(value).map(([name, address]: [string, unknown]) => [
        name,
        addressOf(address ?? "", `${path}[${quoteText(name)}]`),
      ]),
    );
  }

  #valueOf(key: string): unknown {
    return this.raw(key) ?? null;
  }
}

/** A text, or an error that names its place. */
export function textOf(value: unknown, path: string): string {
  if (typeof value !== "string") throw mustBe(path, "a text", value);
  return value;
}

/** An address in its canonical form, "" for none, or an error that names its place. */
export function addressOf(value: unknown, path: string): string {
  const text = textOf(value, path);
  if (text === "" || isIpv4(text)) return text;
  const canonical = canonicalIpv6(text);
  if (canonical === undefined) throw mustBe(path, "an IP address", text);
  return canonical.startsWith(mapped) && canonical.includes(".")
    ? canonical.slice(mapped.length)
    : canonical;
}

/** The error for a value that is not what its place needs. */
export function mustBe(path: string, wanted: string, value: unknown): WireError {
  return new WireError("malformed_message", `${path} must be ${wanted}, not ${describe(value)}`, {
    data: { path },
  });
}

function countOf(value: unknown, max: number, path: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max) {
    return value;
  }
  throw mustBe(path, `a whole number from 0 to ${max}`, value);
}

/** Go folds the long s and the Kelvin sign, too. */
function fold(key: string): string {
  return key.toUpperCase().toLowerCase();
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "string") return quoteText(value);
  return typeof value === "object" && value !== null ? "an object" : String(value);
}

const mapped = "::ffff:";
