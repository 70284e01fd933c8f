import type { Writable } from "node:stream";
import { errorText, WireError, withDeadline } from "@culvert/runtime";
import { parseConfigureArgs } from "@culvert/wire";
import { FrameWriter } from "../egress/frame-writer.ts";
import { Agent } from "./agent.ts";
import { agentDefaults } from "./agent-defaults.ts";
import type { AgentMachine, AgentOptions } from "./agent-options.ts";

/**
 * Runs an agent to its end, which is the end of `input`, or the abort of `signal`. Resolves with the exit code: 0 after an abort, else 1,
 * since NoRouter's agents know no other end than a broken one. Never rejects. `output` is written to, and not ended.
 */
export async function runAgent(machine: AgentMachine, options: AgentOptions): Promise<number> {
  const { log } = machine;
  const { input, output, signal, bastion = { mode: "routes" } } = options;
  const writer = new FrameWriter(output);
  const agent = new Agent({ machine, bastion, writer });
  const ended = new Promise<End>((resolve) => {
    const fail = (reason: string): void => resolve({ exitCode: 1, reason });
    output.on("error", (error) => fail(`writing failed: ${errorText(error)}`));
    input.on("error", (error) => fail(`reading failed: ${errorText(error)}`));
    input.once("close", () => fail("the input was closed"));
    signal?.addEventListener("abort", () => resolve({ exitCode: 0, reason: "stopped" }), {
      once: true,
    });
    if (signal?.aborted === true) resolve({ exitCode: 0, reason: "stopped" });
    const onData = (chunk: Uint8Array): void => {
      try {
        agent.push(chunk);
      } catch (error) {
        input.off("data", onData);
        fail(errorText(error));
      }
    };
    const start = (): void => {
      input.on("data", onData);
      input.once("end", () => fail(endOf(agent)));
    };
    initialise(agent, options.initConfig).then(start, (error: unknown) => fail(errorText(error)));
  });
  const { exitCode, reason } = await ended;
  // Nobody reads on, and what is still written is read by nobody.
  input.pause();
  await agent.close();
  await flush(output, machine);
  log.info("norouter.agent.ended", { reason, exitCode, ...writer.stats() });
  return exitCode;
}

interface End {
  readonly exitCode: number;
  readonly reason: string;
}

async function initialise(agent: Agent, initConfig: string | undefined): Promise<void> {
  if (initConfig === undefined) return;
  await agent.configure(parseConfigureArgs(parseJson(initConfig)));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new WireError("malformed_message", `not JSON: ${errorText(error)}`, { cause: error });
  }
}

function endOf(agent: Agent): string {
  try {
    agent.end();
    return "end of input";
  } catch (error) {
    return errorText(error);
  }
}

/** Waits until what was written has left, as long as somebody takes it. */
async function flush(output: Writable, { clock }: AgentMachine): Promise<void> {
  if (!output.writable || output.writableLength === 0) return;
  const limit = agentDefaults.flushTimeout;
  const written = (): Promise<void> =>
    new Promise((resolve) => {
      output.write(new Uint8Array(0), () => resolve());
    });
  await withDeadline({ clock, limit, what: "flush" }, written).catch(() => undefined);
}
