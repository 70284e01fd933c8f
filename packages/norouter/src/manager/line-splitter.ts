import { StringDecoder } from "node:string_decoder";

/** Cuts text that comes in any pieces into lines. A line that is too long comes in several; empty ones are left out. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  readonly #maxLength: number;
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";

  constructor(onLine: (line: string) => void, maxLength = defaultMaxLength) {
    this.#onLine = onLine;
    this.#maxLength = maxLength;
  }

  /** Takes the next bytes. */
  push(chunk: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.write(Buffer.from(chunk))).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#emit(line);
    while (this.#rest.length > this.#maxLength) {
      this.#onLine(this.#rest.slice(0, this.#maxLength));
      this.#rest = this.#rest.slice(this.#maxLength);
    }
  }

  /** Tells that no more comes: the last line may lack its end. */
  end(): void {
    this.#emit(this.#rest + this.#decoder.end());
    this.#rest = "";
  }

  #emit(line: string): void {
    const text = line.trimEnd();
    for (let at = 0; at < text.length; at += this.#maxLength) {
      this.#onLine(text.slice(at, at + this.#maxLength));
    }
  }
}

const defaultMaxLength = 2_048;
