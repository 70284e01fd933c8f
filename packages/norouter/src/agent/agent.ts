import { ConfigError, errorText, WireError } from "@culvert/runtime";
import { rateLimited, type Log } from "@culvert/telemetry";
import {
  configureOp,
  configureResult,
  errorResult,
  FrameDecoder,
  frameType,
  parseConfigureArgs,
  parseMessage,
  routeSuggestionEvent,
  serializeMessage,
  type ConfigureArgs,
  type NorouterFrame,
  type NorouterMessage,
  type NorouterRequest,
} from "@culvert/wire";
import type { FrameWriter } from "../egress/frame-writer.ts";
import { agentDefaults } from "./agent-defaults.ts";
import type { AgentMachine } from "./agent-options.ts";
import type { BastionOptions } from "./bastion.ts";
import { configureAgent, type ConfiguredAgent } from "./configure-agent.ts";
import { agentFeatures, agentVersion } from "./features.ts";

/** What an {@link Agent} is made of. */
export interface AgentDeps {
  readonly machine: AgentMachine;
  readonly bastion: BastionOptions;
  readonly writer: FrameWriter;
}

type State =
  | { readonly kind: "idle" }
  /** `undone` resolves when it is over, and is undone too where the agent was closed meanwhile. */
  | { readonly kind: "configuring"; readonly undone: Promise<void>; readonly held: Uint8Array[] }
  | { readonly kind: "configured"; readonly agent: ConfiguredAgent }
  | { readonly kind: "closed" };

/**
 * One agent: what its manager's frames do (NOROUTER.md §2, §3). It is configured once; a configure that fails leaves nothing behind and may
 * be tried again.
 */
export class Agent {
  readonly #deps: AgentDeps;
  readonly #log: Log;
  readonly #decoder = new FrameDecoder();
  #state: State = { kind: "idle" };

  constructor(deps: AgentDeps) {
    this.#deps = deps;
    const { log, clock } = deps.machine;
    this.#log = rateLimited(log, clock, agentDefaults.warningRate);
  }

  /**
   * Takes bytes of the manager, whose memory is given away.
   * @throws WireError for bytes that are no frames; there is no going on then.
   */
  push(chunk: Uint8Array): void {
    for (const frame of this.#decoder.push(chunk)) this.#take(frame);
  }

  /**
   * Tells that no more bytes come.
   * @throws WireError `truncated` where they end within a frame.
   */
  end(): void {
    this.#decoder.end();
  }

  /**
   * Configures the agent without being asked by a manager.
   * @throws as `configureAgent`; ConfigError `already_exists` where it is configured.
   */
  async configure(args: ConfigureArgs): Promise<void> {
    if (this.#state.kind !== "idle") {
      throw new ConfigError("already_exists", "agent is already configured");
    }
    const { machine, bastion, writer } = this.#deps;
    const configuring = configureAgent(args, {
      machine,
      bastion,
      sendPacket: (packet) => void writer.sendPacket(packet),
      suggest: (suggestion) => this.#send(routeSuggestionEvent(suggestion)),
    });
    const held: Uint8Array[] = [];
    const undone = configuring.then(
      (agent) => (this.#isClosed ? agent.close() : undefined),
      () => undefined,
    );
    this.#state = { kind: "configuring", undone, held };
    try {
      const agent = await configuring;
      if (this.#isClosed) return;
      this.#state = { kind: "configured", agent };
      for (const packet of held) agent.receive(packet);
    } catch (error) {
      if (!this.#isClosed) this.#state = { kind: "idle" };
      throw error;
    }
    machine.log.info("norouter.agent.configured", {
      me: args.me,
      forwards: args.forwards.length,
      hosts: args.hostnameMap.size,
    });
  }

  /** Ends what was configured. Resolves when it is over; never rejects. */
  async close(): Promise<void> {
    const state = this.#state;
    this.#state = { kind: "closed" };
    if (state.kind === "configured") await state.agent.close();
    if (state.kind === "configuring") await state.undone;
  }

  get #isClosed(): boolean {
    return this.#state.kind === "closed";
  }

  #take({ type, payload }: NorouterFrame): void {
    switch (type) {
      case frameType.l3:
        this.#takePacket(payload);
        return;
      case frameType.json:
        this.#takeMessage(payload);
        return;
      default:
        this.#refused(`unknown packet type ${type}`);
    }
  }

  #takePacket(packet: Uint8Array): void {
    const state = this.#state;
    if (state.kind === "configured") {
      state.agent.receive(packet);
    } else if (state.kind === "configuring" && state.held.length < agentDefaults.maxHeldPackets) {
      state.held.push(packet.slice());
    } else if (state.kind !== "closed") {
      this.#refused("received L3 before configuration");
    }
  }

  #takeMessage(payload: Uint8Array): void {
    let message: NorouterMessage;
    try {
      message = parseMessage(payload);
    } catch (error) {
      this.#refused(errorText(error));
      return;
    }
    if (message.kind === "request") void this.#answer(message);
    else this.#refused(`unexpected message type: ${message.kind}`);
  }

  async #answer(request: NorouterRequest): Promise<void> {
    try {
      if (request.op !== configureOp) {
        const text = `unexpected JSON op: ${JSON.stringify(request.op)}`;
        throw new WireError("unexpected_message", text);
      }
      await this.configure(parseConfigureArgs(request.args));
    } catch (error) {
      this.#refused(errorText(error));
      this.#send(errorResult(request, errorText(error)));
      return;
    }
    this.#send(configureResult(request.id, { features: agentFeatures, version: agentVersion }));
  }

  /** Whether the manager will be told, as far as we know. */
  #send(message: NorouterMessage): boolean {
    if (this.#isClosed) return false;
    const isSent = this.#deps.writer.sendMessage(serializeMessage(message));
    if (!isSent) this.#log.warn("limit.reached", { limit: "messages", what: message.kind });
    return isSent;
  }

  #refused(reason: string): void {
    this.#log.warn("norouter.agent.refused", { reason });
  }
}
