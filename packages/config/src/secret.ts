import { inspect } from "node:util";

/** A text that no log, status, error or listing may show: it prints as `[redacted]` everywhere but through {@link reveal}. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself, for the one place that compares or sends it. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return redacted;
  }

  toJSON(): string {
    return redacted;
  }

  [inspect.custom](): string {
    return redacted;
  }
}

const redacted = "[redacted]";
