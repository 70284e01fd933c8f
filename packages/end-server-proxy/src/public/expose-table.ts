import { coversPublicName, type PublicOffer } from "@culvert/wire";
import type { ExposeRule } from "./expose-rule.ts";

/** What this end server exposes; looked up for every connection, whatever the relay has checked. Pure. */
export class ExposeTable {
  readonly rules: readonly ExposeRule[];
  readonly #byPort: ReadonlyMap<number, ExposeRule>;
  readonly #byName: ReadonlyMap<string, ExposeRule>;
  readonly #wildcards: readonly ExposeRule[];

  constructor(rules: readonly ExposeRule[]) {
    this.rules = rules;
    this.#byPort = new Map(
      rules.filter(({ name }) => name === "").map((rule) => [rule.port, rule]),
    );
    this.#byName = new Map(
      rules.filter(({ name }) => name !== "").map((rule) => [rule.name, rule]),
    );
    // The longest first, as the relay chooses.
    this.#wildcards = rules
      .filter(({ name }) => name.startsWith("*."))
      .sort((one, other) => other.name.length - one.name.length);
  }

  /** The rule for a connection: by port, by its exact name, by the longest wildcard above it; undefined where there is none. */
  find({ service, name, servicePort }: PublicOffer): ExposeRule | undefined {
    if (service === "tcp") return this.#byPort.get(servicePort);
    return (
      this.#byName.get(name) ?? this.#wildcards.find((rule) => coversPublicName(rule.name, name))
    );
  }
}
