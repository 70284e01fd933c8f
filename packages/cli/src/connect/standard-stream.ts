import { fstatSync } from "node:fs";
import { Socket } from "node:net";
import { Duplex, type Readable, type Writable } from "node:stream";
import type { ByteStream } from "@culvert/runtime";

/** Standard input and output as one stream: the end of input is FIN, and the other end's FIN closes output. */
export class StandardStream extends Duplex implements ByteStream {
  readonly #input: Readable;
  readonly #output: Writable;

  constructor(input: Readable, output: Writable) {
    super({ allowHalfOpen: true });
    this.#input = input;
    this.#output = output;
    input.on("data", (chunk: Uint8Array) => {
      if (!this.push(chunk)) input.pause();
    });
    input.once("end", () => this.push(null));
    input.once("error", (error) => this.destroy(error));
    output.once("error", (error) => this.destroy(error));
    input.pause();
  }

  override _read(): void {
    this.#input.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: () => void): void {
    if (this.#output.write(chunk)) done();
    else this.#output.once("drain", done);
  }

  override _final(done: () => void): void {
    this.#output.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#input.destroy();
    done(error);
  }
}

/**
 * Standard output as a stream that closes its descriptor when it ends, so that a reader such as ssh sees the end while we still
 * read. Node's own process.stdout never closes.
 */
export function closableStdout(): Writable {
  const stat = fstatSync(1);
  if (process.platform === "win32" || !(stat.isFIFO() || stat.isSocket())) return process.stdout;
  return new Socket({ fd: 1, readable: false, writable: true });
}
