import type { Writable } from "node:stream";
import { errorText, WireError, withDeadline, type Millis } from "@culvert/runtime";
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
  await inTime(machine, agentDefaults.closeTimeout, () => agent.close());
  await inTime(machine, agentDefaults.flushTimeout, () => flushed(writer, output));
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

/** Resolves when what was written has left. */
function flushed(writer: FrameWriter, output: Writable): Promise<void> {
  writer.flush();
  return new Promise((resolve) => {
    if (!output.writable || output.writableLength === 0) resolve();
    else output.write(new Uint8Array(0), () => resolve());
  });
}

/** The end waits for nothing longer than it has to. */
async function inTime(
  { clock, log }: AgentMachine,
  limit: Millis,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await withDeadline({ clock, limit, what: "the end of the agent" }, work);
  } catch (error) {
    log.warn("exit.fault", { reason: errorText(error) });
  }
}
