import { Child, type Exit } from "../../support/child.ts";
import { waitUntil, within } from "../../support/wait.ts";
import type { Program } from "./program.ts";

/** What a frame carries. */
export const frameKind = { l3: 1, json: 2 } as const;

/** One frame that an agent wrote. */
export interface AgentFrame {
  readonly kind: number;
  readonly reserved: number;
  readonly payload: Buffer;
  /** The frame as it was on the pipe, header and all. */
  readonly bytes: Buffer;
}

/**
 * An agent of either implementation, with a test in the manager's seat. It writes and reads frames with code of its own,
 * so that a mistake of our codec cannot hide behind itself.
 */
export class AgentProcess {
  readonly child: Child;
  readonly #stdout: Buffer[] = [];
  readonly #stderr: Buffer[] = [];

  constructor(program: Program, options: { readonly flags?: readonly string[] } = {}) {
    const command = [...program.command, "agent", "--automated", ...(options.flags ?? [])];
    this.child = new Child(command[0] ?? "", command.slice(1));
    this.child.stdout.on("data", (chunk: Buffer) => this.#stdout.push(chunk));
    this.child.stderr.on("data", (chunk: Buffer) => this.#stderr.push(chunk));
  }

  /** Everything it said on standard error. */
  get log(): string {
    return Buffer.concat(this.#stderr).toString("utf8");
  }

  /** The whole frames it wrote so far; throws when the bytes are no frames. */
  get frames(): readonly AgentFrame[] {
    return splitFrames(Buffer.concat(this.#stdout));
  }

  /** Writes bytes as they are. */
  write(bytes: Uint8Array): void {
    this.child.stdin.write(bytes);
  }

  /** Writes one frame with a JSON document. */
  sendJson(message: unknown, reserved = 0): void {
    this.write(frame(frameKind.json, Buffer.from(JSON.stringify(message)), reserved));
  }

  /** Waits until standard error matches. */
  async said(pattern: RegExp, ms = 15_000): Promise<void> {
    await this.#waitFor(`${pattern.source} on standard error`, () => pattern.test(this.log), ms);
  }

  /** Waits until it has written this many frames. */
  async wrote(count: number, ms = 15_000): Promise<readonly AgentFrame[]> {
    await this.#waitFor(`${count} frames`, () => this.frames.length >= count, ms);
    return this.frames;
  }

  /** Closes its standard input, as a manager that ends does, and waits for its end. */
  hangUp(ms = 15_000): Promise<Exit> {
    this.child.stdin.end();
    return within(ms, "end of the agent after its standard input", this.child.exited);
  }

  async #waitFor(what: string, probe: () => boolean, ms: number): Promise<void> {
    try {
      await waitUntil(
        what,
        () => {
          if (probe()) return true;
          if (!this.child.running) throw new Error("the agent has ended");
          return false;
        },
        { withinMs: ms },
      );
    } catch (error) {
      throw new Error(
        `${String(error)}\nit wrote ${this.frames.length} frames and said:\n${this.log}`,
        {
          cause: error,
        },
      );
    }
  }
}

/** One frame: magic, length of what follows, kind, reserved, payload; all big-endian. */
export function frame(kind: number, payload: Uint8Array, reserved = 0): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(payload.length + 4, 0);
  header.writeUInt8(0x42, 0);
  header.writeUInt16BE(kind, 4);
  header.writeUInt16BE(reserved, 6);
  return Buffer.concat([header, payload]);
}

function splitFrames(bytes: Buffer): readonly AgentFrame[] {
  const frames: AgentFrame[] = [];
  let offset = 0;
  while (offset + 8 <= bytes.length) {
    if (bytes[offset] !== 0x42)
      throw new Error(`no frame begins with ${bytes.toString("hex", offset, offset + 8)}`);
    const end = offset + 4 + bytes.readUIntBE(offset + 1, 3);
    if (end > bytes.length) break;
    frames.push({
      kind: bytes.readUInt16BE(offset + 4),
      reserved: bytes.readUInt16BE(offset + 6),
      payload: bytes.subarray(offset + 8, end),
      bytes: bytes.subarray(offset, end),
    });
    offset = end;
  }
  return frames;
}
