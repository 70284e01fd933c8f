import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { onTestFinished } from "vitest";
import { errorText, systemClock, systemRandom } from "@culvert/runtime";
import { silentLog, type Log, type LogFields } from "@culvert/telemetry";
import { waitUntil } from "@culvert/testkit";
import {
  encodeFrame,
  FrameDecoder,
  frameType,
  parseMessage,
  type NorouterFrame,
  type NorouterMessage,
} from "@culvert/wire";
import type { AgentMachine, AgentOptions } from "./agent-options.ts";
import { runAgent } from "./run-agent.ts";

/** A directory that goes with the test. */
export async function scratchDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "culvert-agent-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Lines of a log, for tests that read them. */
export function recordedLog(): { readonly log: Log; readonly lines: LogFields[] } {
  const lines: LogFields[] = [];
  const write = (event: string, fields: LogFields = {}): void =>
    void lines.push({ event, ...fields });
  const log: Log = {
    level: "debug",
    debug: write,
    info: write,
    warn: write,
    error: write,
    child: () => log,
  };
  return { log, lines };
}

/** A machine that touches nothing of the real one. */
export function testMachine(overrides: Partial<AgentMachine> = {}): AgentMachine {
  return {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    environment: {},
    etcHosts: "/nonexistent/hosts",
    dnsServers: () => Promise.resolve([]),
    lookup: (name) => Promise.reject(new Error(`no such name: ${name}`)),
    ...overrides,
  };
}

/** An agent whose manager is the test. */
export class AgentUnderTest {
  readonly input = new PassThrough();
  readonly output = new PassThrough();
  readonly frames: NorouterFrame[] = [];
  readonly lines: LogFields[];
  readonly #exit: Promise<number>;
  exitCode: number | undefined;

  constructor(
    machine: Partial<AgentMachine> = {},
    options: Partial<Omit<AgentOptions, "input" | "output">> = {},
  ) {
    const { log, lines } = recordedLog();
    this.lines = lines;
    const decoder = new FrameDecoder();
    this.output.on("data", (chunk: Uint8Array) => this.frames.push(...decoder.push(chunk)));
    const { input, output } = this;
    this.#exit = runAgent(testMachine({ log, ...machine }), { input, output, ...options });
    void this.#exit.then((code) => (this.exitCode = code));
    onTestFinished(async () => {
      this.input.end();
      await this.#exit;
    });
  }

  /** Gives it a JSON message as it is, or as JSON. */
  sendJson(message: unknown): void {
    const text = typeof message === "string" ? message : JSON.stringify(message);
    this.send(encodeFrame(frameType.json, Buffer.from(text)));
  }

  send(bytes: Uint8Array): void {
    this.input.write(bytes);
  }

  /** JSON messages it has sent. */
  get messages(): NorouterMessage[] {
    return this.frames
      .filter(({ type }) => type === frameType.json)
      .map(({ payload }) => parseMessage(payload));
  }

  /** Packets it has sent. */
  get packets(): Uint8Array[] {
    return this.frames.filter(({ type }) => type === frameType.l3).map(({ payload }) => payload);
  }

  /** Configures it and waits for the result. */
  async configure(args: object, id = 7): Promise<NorouterMessage> {
    this.sendJson({ type: "request", body: { id, op: "configure", args } });
    return this.message(id);
  }

  /** The result of a request. */
  message(id: number): Promise<NorouterMessage> {
    return waitUntil(
      () => this.messages.find((message) => message.kind === "result" && message.id === id),
      { what: `the result of ${id}; it logged ${JSON.stringify(this.lines, errors)}` },
    );
  }

  /** Waits until it has logged a line with this text in it. */
  logged(text: string): Promise<string> {
    return waitUntil(
      () =>
        this.lines.map((line) => JSON.stringify(line, errors)).find((line) => line.includes(text)),
      { what: `a line with ${text}; it logged ${JSON.stringify(this.lines, errors)}` },
    );
  }

  /** Its exit code. */
  exited(): Promise<number> {
    return waitUntil(() => (this.exitCode === undefined ? undefined : `${this.exitCode}`), {
      what: "its end",
    }).then(Number);
  }
}

const errors = (_key: string, value: unknown): unknown =>
  value instanceof Error ? errorText(value) : value;
