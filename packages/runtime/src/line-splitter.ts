import { StringDecoder } from "node:string_decoder";

/**
 * Cuts text that arrives in pieces into lines. Holds at most one line; what is longer than `maxLength` is cut and marked. Control
 * characters, which would move the cursor of whoever reads them, are told as `?`.
 */
export class LineSplitter {
  readonly #maxLength: number;
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder("utf8");
  #line = "";
  /** The rest of a line that was given out already. */
  #skipping = false;

  constructor(maxLength: number, onLine: (line: string) => void) {
    this.#maxLength = maxLength;
    this.#onLine = onLine;
  }

  /** Takes the next bytes. */
  push(bytes: Buffer): void {
    this.#take(this.#decoder.write(bytes));
  }

  /** Gives out a last line that has no end. */
  end(): void {
    this.#take(this.#decoder.end());
    if (!this.#skipping) this.#tell(this.#line);
    this.#line = "";
  }

  #take(text: string): void {
    for (const [index, part] of text.split("\n").entries()) {
      if (index > 0) this.#finish();
      if (this.#skipping) continue;
      this.#line += part;
      if (this.#line.length <= this.#maxLength) continue;
      this.#tell(`${this.#line.slice(0, this.#maxLength)}…`);
      this.#line = "";
      this.#skipping = true;
    }
  }

  #finish(): void {
    const line = this.#line.endsWith("\r") ? this.#line.slice(0, -1) : this.#line;
    if (!this.#skipping) this.#tell(line);
    this.#line = "";
    this.#skipping = false;
  }

  #tell(line: string): void {
    if (line !== "") this.#onLine(line.replaceAll(controlCharacters, "?"));
  }
}

// eslint-disable-next-line no-control-regex -- control characters are what must not pass
const controlCharacters = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
