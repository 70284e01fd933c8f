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
import { parseIpv4 } from "../router/ipv4.ts";
import { lastWords } from "./agent-line.ts";
import type { AgentLines } from "./agent-lines.ts";
import { AgentProcess } from "./agent-process.ts";
import type { AgentState, AgentStatus } from "./agent-state.ts";
import { missingFeatures } from "./check-features.ts";
import { echoProbe, isAnswerOf } from "./echo-probe.ts";
import { Liveness } from "./liveness.ts";
import type { DropReason, SwitchPort } from "./packet-switch.ts";

/** What an {@link AgentSupervisor} works with. */
export interface AgentSupervisorDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** With `host` and `vip` in each line, and a bound to what is provoked. */
  readonly log: Log;
  /** Takes what the agent says on its standard error. */
  readonly lines: AgentLines;
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
  /** How long it may take before it is started again; nobody may know a password at a terminal, so there it is left alone. */
  readonly startLimit: Millis;
  /** How long an agent that is ready may answer nothing at all, though it is asked; 0: for ever. */
  readonly silenceLimit: Millis;
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
  readonly #vip: number;
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
  #said: Said = { version: "", features: [] };
  #probes = 0;
  readonly #liveness: Liveness;

  constructor(deps: AgentSupervisorDeps, plan: AgentPlan, options: SupervisionOptions) {
    this.plan = plan;
    this.#deps = deps;
    this.#options = options;
    this.#retry = new RetrySchedule(deps.random, retryOptions);
    this.#request = serializeMessage(configureRequest(requestId, plan.args));
    this.#stateSince = deps.clock.now();
    this.#vip = parseIpv4(plan.args.me) ?? 0;
    this.#liveness = new Liveness(
      {
        clock: deps.clock,
        probe: () => this.#probe(),
        egress: () => ({
          isWaiting: this.#queuedBytes > 0,
          taken: this.#process?.writer.takenFrames ?? 0,
        }),
        onStuck: (reason) => this.#stuck(reason),
        onAnswer: () => this.#answered(),
      },
      options.silenceLimit,
    );
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
    const { egress, grace, terminal, patience } = this.#options;
    const options = { argv, egress, grace, terminal };
    this.#process = new AgentProcess(clock, options, {
      onHeard: () => this.#liveness.heard(),
      onFrame: (frame) => this.#receive(frame),
      onStderrLine: (line) => {
        this.#lastLine = lastWords(line) ?? this.#lastLine;
        this.#deps.lines.add(line);
      },
      onEnd: (reason, kind) => this.#ended(reason, kind),
    });
    if (this.#process.pid === undefined) return;
    log.info("norouter.agent.starting", { command: argv, pid: this.#process.pid });
    this.#process.writer.sendMessage(this.#request);
    this.#timer = clock.setTimer(patience, () => this.#waitOn());
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
    this.#liveness.stop();
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
      queuedBytes: this.#queuedBytes,
      droppedPackets: this.#dropped,
    };
  }

  get #queuedBytes(): number {
    return this.#process?.writer.stats().queuedBytes ?? 0;
  }

  /** It has been started, and says nothing. */
  #waitOn(): void {
    const { patience, startLimit, restart, terminal } = this.#options;
    const reason = `no answer within ${formatMillis(patience)}`;
    const text = `${reason}; NoRouter's own agents do not answer where they fail, but say why on their standard error`;
    this.#deps.log.warn("norouter.agent.silent", { text });
    // The same state as before, since when it was.
    this.#state = { kind: "starting", reason };
    if (!restart || terminal) return;
    const left = millis(Math.max(0, startLimit - patience));
    this.#timer = this.#deps.clock.setTimer(left, () => {
      this.#giveUp(`it has not answered within ${formatMillis(startLimit)}`);
    });
  }

  #probe(): void {
    this.#probes += 1;
    this.#process?.writer.sendPacket(echoProbe(this.#vip, this.#probes));
  }

  #stuck(reason: string): void {
    const { restart } = this.#options;
    const queuedBytes = this.#queuedBytes;
    this.#deps.log.error("norouter.agent.stuck", { reason, queuedBytes, restart });
    this.#enter({ kind: "stuck", reason });
    if (restart) this.#giveUp(reason);
  }

  /** Left alone where it was stuck, it goes on. */
  #answered(): void {
    if (this.#state.kind !== "stuck" || this.#refusal !== undefined) return;
    this.#enterReady(this.#said);
  }

  #deliver(packet: Uint8Array, reserved: number): DropReason | undefined {
    // It may not have answered yet, but it has been told: it will find the packet after the request.
    if (this.#process === undefined || this.#refusal !== undefined) return "agent_down";
    return this.#process.writer.sendPacket(packet, reserved) ? undefined : "queue_full";
  }

  #receive({ type, reserved, payload }: NorouterFrame): void {
    if (type === frameType.l3) {
      if (!isAnswerOf(this.#vip, payload)) this.#deps.onPacket(payload, reserved);
    } else if (type === frameType.json) this.#receiveMessage(payload);
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
    // It was given up meanwhile, and is ending.
    if (this.#refusal !== undefined) return;
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
    this.#said = { version, features };
    this.#enterReady(this.#said);
    this.#liveness.start();
    // One that falls over as soon as it is ready is still failing.
    this.#timer = this.#deps.clock.setTimer(stableAfter, () => this.#retry.reset(), {
      unref: true,
    });
  }

  #enterReady({ version, features }: Said): void {
    this.#deps.log.info("norouter.agent.ready", { version });
    this.#enter({ kind: "ready", version, features });
  }

  #refuse(why: string): void {
    this.#giveUp(`it cannot do what it was told: ${why}`);
  }

  #giveUp(why: string): void {
    this.#refusal = why;
    this.#liveness.stop();
    void this.#process?.stop();
  }

  #ended(reason: string, kind: CommandEnd["kind"]): void {
    const pid = this.#process?.pid;
    this.#process = undefined;
    this.#timer?.cancel();
    this.#liveness.stop();
    this.#deps.lines.flush();
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

/** What an agent has said of itself. */
interface Said {
  readonly version: string;
  readonly features: readonly string[];
}

/** Each process is told once. */
const requestId = 1;

const retryOptions = { first: millis(500), cap: millis(30_000), factor: 2 };
const stableAfter = millis(10_000);
