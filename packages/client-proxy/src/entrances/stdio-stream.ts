import { closeSync, fstatSync, openSync } from "node:fs";
import { Socket } from "node:net";
import { devNull } from "node:os";
import { Duplex, type Readable, type Writable } from "node:stream";
import type { ByteStream } from "@culvert/runtime";

/**
 * An input and an output as one stream: the end of input is its end, and ending it ends the output. An input is a passive thing
 * that may never end; it is destroyed when the stream closes. Owns both.
 */
export class StdioStream extends Duplex implements ByteStream {
  readonly #input: Readable;
  readonly #output: Writable;
  /** Asked of us rather than of the output: Node's stream for files never says that it has finished. */
  #outputEnded = false;

  constructor(input: Readable, output: Writable) {
    super({ allowHalfOpen: true });
    this.#input = input;
    this.#output = output;
    input.on("data", (chunk: Uint8Array) => {
      if (!this.push(chunk)) input.pause();
    });
    input.once("end", () => this.push(null));
    for (const each of [input, output]) each.on("error", (error) => this.destroy(error));
    output.once("close", () => {
      if (!this.#outputEnded) this.destroy(new Error("the output was closed"));
    });
    input.pause();
  }

  override _read(): void {
    this.#input.resume();
  }

  override _write(
    chunk: Uint8Array,
    _encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    this.#output.write(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#output.end((error?: Error | null) => {
      if (error == null) this.#outputEnded = true;
      callback(error);
    });
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#input.destroy();
    if (!this.#outputEnded) this.#output.destroy();
    callback(error);
  }
}

/**
 * This process's standard input and output as one stream, for once in its life; nobody else may use either. Where output is a pipe or
 * socket, its end closes the descriptor, so that ssh sees the end while we still read. On Windows, and for files and terminals,
 * output closes with the process.
 */
export function standardStreams(): StdioStream {
  return new StdioStream(process.stdin, closingStdout());
}

/** Node and libuv never close the descriptors 0 to 2 of themselves. */
function closingStdout(): Writable {
  if (process.platform === "win32") return process.stdout;
  const stat = fstatSync(stdoutDescriptor);
  if (!stat.isFIFO() && !stat.isSocket()) return process.stdout;
  const output = new Socket({ fd: stdoutDescriptor, readable: false, writable: true });
  output.once("close", () => {
    closeSync(stdoutDescriptor);
    // Takes the number that came free, so that no other file or socket is written to as standard output.
    openSync(devNull, "w");
  });
  return output;
}

const stdoutDescriptor = 1;
