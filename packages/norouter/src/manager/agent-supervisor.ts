import {
  formatMillis,
  millis,
  RetrySchedule,
  type Clock,
  type CommandEnd,
  type Millis,
  type Random,
  type Timer,
} from "@culvert/runtime";
import type { Log } from "@culvert/telemetry";
import {
  configureRequest,
  frameType,
  parseConfigureResult,
  parseMessage,
  parseRouteSuggestion,
  resultErrorText,
  routeSuggestionType,
  serializeMessage,
  type ConfigureArgs,
  type NorouterFrame,
  type NorouterResult,
  type RouteSuggestion,
} from "@culvert/wire";
import type { EgressLimits } from "../egress/frame-writer.ts";
import { logAgentLine } from "./agent-line.ts";
import { AgentProcess } from "./agent-process.ts";
import type { AgentState, AgentStatus } from "./agent-state.ts";
import { missingFeatures } from "./check-features.ts";
import type { DropReason, SwitchPort } from "./packet-switch.ts";

/** What an {@link AgentSupervisor} works with. */
export interface AgentSupervisorDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** With `host` and `vip` in each line. */
  readonly log: Log;
  /** A packet came from the agent; it is valid during the call. */
  readonly onPacket: (packet: Uint8Array, reserved: number) => void;
  readonly onSuggestion: (suggestion: RouteSuggestion) => void;
  /** Its state is another now. */
  readonly onState: (state: AgentState) => void;
}

/** One agent to run. */
export interface AgentPlan {
  readonly name: string;
  /** Program and arguments. */
  readonly argv: readonly string[];
  readonly args: ConfigureArgs;
}

/** How agents are run. */
export interface SupervisionOptions {
  /** Whether an agent that ends is started again. */
  readonly restart: boolean;
  readonly egress: EgressLimits;
  /** How long an agent may take to end after it was asked to. */
  readonly grace: Millis;
  /** How long an agent may take to answer before that is told. */
  readonly patience: Millis;
  /** Whether commands keep our terminal, at which ssh asks for a password or whether a host is the right one. */
  readonly terminal: boolean;
}

/**
 * Keeps the agent of one host running: starts its command, tells it what to do, and starts it again with growing pauses when it
 * ends or says that it cannot. Every end is told at once.
 */
export class AgentSupervisor implements SwitchPort {
  readonly plan: AgentPlan;
  readonly #deps: AgentSupervisorDeps;
  readonly #options: SupervisionOptions;
  readonly #retry: RetrySchedule;
  readonly #request: Uint8Array;
  #process: AgentProcess | undefined;
  #state: AgentState = { kind: "starting" };
  #stateSince: Millis;
  #timer: Timer | undefined;
  #restarts = 0;
  #dropped = 0;
  #stopping = false;
  /** Why we end the running process; what it says of its own end is less. */
  #refusal: string | undefined;
  #lastLine = "";
  #lineWindow = { since: millis(0), lines: 0 };

  constructor(deps: AgentSupervisorDeps, plan: AgentPlan, options: SupervisionOptions) {
    this.plan = plan;
    this.#deps = deps;
    this.#options = options;
    this.#retry = new RetrySchedule(deps.random, retryOptions);
    this.#request = serializeMessage(configureRequest(requestId, plan.args));
    this.#stateSince = deps.clock.now();
  }

  /** Where it stands. */
  get state(): AgentState {
    return this.#state;
  }

  /** Starts the command. */
  start(): void {
    const { clock, log } = this.#deps;
    const { argv } = this.plan;
    this.#dropped = 0;
    this.#lastLine = "";
    this.#refusal = undefined;
    this.#enter({ kind: "starting" });
    const { egress, grace, terminal } = this.#options;
    const options = { argv, egress, grace, terminal };
    this.#process = new AgentProcess(clock, options, {
      onFrame: (frame) => this.#receive(frame),
      onStderrLine: (line) => {
        this.#lastLine = line;
        this.#logLine(line);
      },
      onEnd: (reason, kind) => this.#ended(reason, kind),
    });
    if (this.#process.pid === undefined) return;
    log.info("norouter.agent.starting", { command: argv, pid: this.#process.pid });
    this.#process.writer.sendMessage(this.#request);
    this.#timer = clock.setTimer(this.#options.patience, () => {
      const waited = formatMillis(this.#options.patience);
      log.warn("norouter.agent.silent", {
        text: `no answer within ${waited}; NoRouter's own agents do not answer where they fail, but say why on their standard error`,
      });
    });
  }

  deliver(packet: Uint8Array, reserved: number): DropReason | undefined {
    const reason = this.#deliver(packet, reserved);
    if (reason !== undefined) this.#dropped += 1;
    return reason;
  }

  /** Ends the agent, and starts it no more. Resolves when its command has ended; never rejects. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#timer?.cancel();
    await this.#process?.stop();
  }

  /** What `culvert norouter status` shows. */
  status(): AgentStatus {
    const { name, args } = this.plan;
    const state = this.#state;
    return {
      name,
      vip: args.me,
      state: state.kind,
      reason: "reason" in state ? state.reason : undefined,
      version: state.kind === "ready" ? state.version : undefined,
      pid: this.#process?.pid,
      ageMs: Math.round(this.#deps.clock.now() - this.#stateSince),
      restarts: this.#restarts,
      queuedBytes: this.#process?.writer.stats().queuedBytes ?? 0,
      droppedPackets: this.#dropped,
    };
  }

  /** An agent that fills the log would hide the others. */
  #logLine(line: string): void {
    const { clock, log } = this.#deps;
    const now = clock.now();
    const { since, lines } = this.#lineWindow;
    if (now - since < lineInterval) {
      this.#lineWindow.lines += 1;
      if (lines < maxLines) logAgentLine(log, line, {});
      return;
    }
    const suppressed = Math.max(0, lines - maxLines);
    this.#lineWindow = { since: now, lines: 1 };
    logAgentLine(log, line, suppressed > 0 ? { suppressed } : {});
  }

  #deliver(packet: Uint8Array, reserved: number): DropReason | undefined {
    // It may not have answered yet, but it has been told: it will find the packet after the request.
    if (this.#process === undefined || this.#refusal !== undefined) return "agent_down";
    return this.#process.writer.sendPacket(packet, reserved) ? undefined : "queue_full";
  }

  #receive({ type, reserved, payload }: NorouterFrame): void {
    if (type === frameType.l3) this.#deps.onPacket(payload, reserved);
    else if (type === frameType.json) this.#receiveMessage(payload);
    else this.#deps.log.warn("norouter.message.refused", { text: `a frame of type ${type}` });
  }

  #receiveMessage(payload: Uint8Array): void {
    try {
      const message = parseMessage(payload);
      if (message.kind === "result") this.#receiveResult(message);
      else if (message.kind === "event" && message.type === routeSuggestionType) {
        this.#deps.onSuggestion(parseRouteSuggestion(message.data));
      } else {
        const text = `nothing is known of this ${message.kind}`;
        this.#deps.log.warn("norouter.message.refused", { text });
      }
    } catch (error) {
      this.#deps.log.warn("norouter.message.refused", { error });
    }
  }

  #receiveResult(result: NorouterResult): void {
    if (result.id !== requestId || this.#state.kind !== "starting") return;
    this.#timer?.cancel();
    const { log } = this.#deps;
    const failure = resultErrorText(result);
    if (failure !== undefined) {
      this.#refuse(failure);
      return;
    }
    const { version, features } = parseConfigureResult(result.data);
    const { fatal, others } = missingFeatures(this.plan.args, features);
    if (fatal.length > 0) {
      this.#refuse(`it lacks ${fatal.join(", ")}`);
      return;
    }
    if (others.length > 0) log.warn("norouter.agent.lacks", { version, features: others });
    log.info("norouter.agent.ready", { version });
    this.#enter({ kind: "ready", version, features });
    // One that falls over as soon as it is ready is still failing.
    this.#timer = this.#deps.clock.setTimer(stableAfter, () => this.#retry.reset(), {
      unref: true,
    });
  }

  #refuse(why: string): void {
    this.#refusal = `it cannot do what it was told: ${why}`;
    void this.#process?.stop();
  }

  #ended(reason: string, kind: CommandEnd["kind"]): void {
    const pid = this.#process?.pid;
    this.#process = undefined;
    this.#timer?.cancel();
    if (kind === "left") this.#deps.log.error("norouter.agent.left", { pid, reason });
    if (this.#stopping) {
      this.#enter({ kind: "stopped" });
      return;
    }
    const { clock, log } = this.#deps;
    const why = this.#refusal ?? reason;
    const said = this.#lastLine === "" ? {} : { lastLine: this.#lastLine };
    // What the system had no room for is no failure of the agent.
    if (!this.#options.restart && kind !== "exhausted") {
      log.error("norouter.agent.lost", { reason: why, ...said });
      this.#enter({ kind: "gone", reason: why });
      return;
    }
    const delay = this.#retry.next();
    log.error("norouter.agent.lost", { reason: why, ...said, retryIn: formatMillis(delay) });
    this.#enter({ kind: "waiting", reason: why });
    this.#timer = clock.setTimer(delay, () => {
      this.#restarts += 1;
      this.start();
    });
  }

  #enter(state: AgentState): void {
    this.#state = state;
    this.#stateSince = this.#deps.clock.now();
    this.#deps.onState(state);
  }
}

/** Each process is told once. */
const requestId = 1;

const retryOptions = { first: millis(500), cap: millis(30_000), factor: 2 };
const maxLines = 200;
const lineInterval = millis(10_000);
const stableAfter = millis(10_000);
