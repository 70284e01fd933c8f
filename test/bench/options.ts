import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { loads } from "./loads/index.ts";
import type { Sizes } from "./loads/load.ts";
import type { CulvertTransport } from "./peers/culvert.ts";
import { peers } from "./peers/index.ts";

/** The command line of the bench. */
export interface Arguments {
  readonly quick: boolean;
  readonly growth: boolean;
  readonly profile: boolean;
  /** Two packet stacks back to back instead. */
  readonly netstack: boolean;
  /** The file into which everything that docs/performance.md shows is to be written. */
  readonly document?: string;
  /** Names of parts of the document; all unless given. */
  readonly part?: readonly string[];
  readonly engine?: "quiche" | "quinn";
  readonly datagramBytes?: number;
  readonly transport: CulvertTransport;
  readonly path: "loopback" | "veth";
  readonly loss: number;
  readonly rounds?: number;
  /** Names of loads; all unless given. */
  readonly only?: readonly string[];
  readonly peer: ReadonlyMap<string, string>;
  /** False: ours alone. */
  readonly peers: boolean;
  /** Ours a second time, as if it were a peer. */
  readonly control: boolean;
  /** Another checkout of Culvert, built, as a peer: what a change gave. */
  readonly against?: string;
  readonly json: boolean;
}

/** Reads the command line; ends the process with a message where it is wrong. */
export function parseArguments(argv: readonly string[]): Arguments {
  const command = new Command("npm run bench --")
    .description(
      "Measures Culvert beside other forwarders (at least ssh) on this machine and writes tables, charts and JSON into test/bench/results.",
    )
    .option("--quick", "three short rounds beside ssh alone, under three minutes in all", false)
    .option("--growth", "how the cost grows with connections and attached servers instead", false)
    .option("--profile", "write a CPU profile of each of our processes and sum it up", false)
    .option("--netstack", "the speed of two packet stacks back to back instead", false)
    .addOption(
      new Option(
        "--document [file]",
        "everything that docs/performance.md shows, written into it (or into another file with its marks) part by part; 25 minutes at most",
      ).preset(fileURLToPath(new URL("../../docs/performance.md", import.meta.url))),
    )
    .option("--part <parts>", "only these parts of the document, with commas between", names)
    .addOption(new Option("--engine <engine>", "QUIC engine").choices(["quiche", "quinn"]))
    .option("--datagram-bytes <bytes>", "largest UDP payload of quiche", whole(1_200, 16_383))
    .addOption(
      new Option("--transport <transport>", "what carries our sessions")
        .choices(["quic", "wss", "norouter"])
        .default("quic"),
    )
    .addOption(
      new Option("--path <path>", "what lies between the relay and the rest")
        .choices(["loopback", "veth"])
        .default("loopback"),
    )
    .option("--loss <percent>", "packets lost on a veth path, each way, by iptables", percent, 0)
    .option(
      "--rounds <number>",
      "rounds of each measure (default 5, or 3 with --quick)",
      whole(1, 100),
    )
    .option(
      "--only <loads>",
      `only these, with commas between: ${loads.map(({ name }) => name).join(", ")}; "bulk" stands for all four`,
      loadNames,
    )
    .option("--peer <name=path>", "where a program is (repeatable)", program, new Map())
    .option("--no-peers", "ours alone")
    .option(
      "--control",
      "ours a second time as a peer: what differs between the two is noise",
      false,
    )
    .option(
      "--against <folder>",
      "another checkout of Culvert, built, as a peer: what a change gave",
    )
    .option("--json", "print the results as JSON instead of tables", false)
    .parse([...argv]);
  const args: Arguments = command.opts();
  const problem = contradiction(args);
  if (problem !== undefined) command.error(`error: ${problem}`);
  return args;
}

/** Why options that are right each by itself ask for nothing that can be done; undefined where they do. */
export function contradiction(args: Arguments): string | undefined {
  const modes = (["growth", "profile", "netstack", "document"] as const).filter(
    (name) => args[name] !== undefined && args[name] !== false,
  );
  if (modes.length > 1) return `--${modes.join(" and --")} are different runs.`;
  if (args.part !== undefined && args.document === undefined) return "--part needs --document.";
  if (args.loss > 0 && args.path !== "veth") return "--loss needs --path veth.";
  if (args.against !== undefined && !existsSync(culvertScript(args.against))) {
    return `There is no checkout of Culvert at ${args.against}.`;
  }
  for (const [name, path] of args.peer) {
    if (!programs.includes(name)) {
      return `No peer needs a program ${name}, only ${programs.join(", ")}.`;
    }
    if (!existsSync(path)) return `There is no ${path}.`;
  }
  return undefined;
}

/** The program of a checkout. */
export function culvertScript(checkout: string): string {
  return join(checkout, "packages/cli/bin/culvert.js");
}

/** The sizes of the loads. */
export function sizesOf({ quick, document, rounds }: Arguments): Sizes {
  const sizes = quick ? quickSizes : document !== undefined ? documentSizes : fullSizes;
  return rounds === undefined ? sizes : { ...sizes, rounds };
}

const programs = [...new Set(peers.flatMap((peer) => peer.programs))];

const fullSizes: Sizes = {
  rounds: 5,
  longRounds: 3,
  bulkSeconds: 4,
  echoSeconds: 3,
  connectSeconds: 3,
  idleConnections: 2_000,
  idleSeconds: 10,
  openLevels: [10, 100, 1_000, 10_000],
  openSamples: 300,
  growthConnections: [1, 10, 100, 1_000, 10_000],
  growthServers: [1, 10, 100],
};

const documentSizes: Sizes = {
  ...fullSizes,
  longRounds: 2,
  bulkSeconds: 2,
  openSamples: 200,
};

const quickSizes: Sizes = {
  ...fullSizes,
  rounds: 3,
  longRounds: 1,
  bulkSeconds: 2,
  echoSeconds: 1,
  connectSeconds: 1,
  idleConnections: 2_000,
  openLevels: [10, 100, 1_000],
  openSamples: 50,
};

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

function percent(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 50)) throw new InvalidArgumentError("It must be from 0 to 50.");
  return value;
}

function names(text: string): readonly string[] {
  return text.split(",");
}

function loadNames(text: string): readonly string[] {
  return text.split(",").map((name) => {
    if (!loads.some((load) => matches(load.name, name))) {
      throw new InvalidArgumentError(`There is no load ${name}.`);
    }
    return name;
  });
}

/** Whether a load is meant by a name of `--only`. */
export function matches(load: string, wanted: string): boolean {
  return load === wanted || (wanted === "bulk" && load.startsWith("bulk-"));
}

function program(text: string, before: Map<string, string>): Map<string, string> {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError("It must be NAME=PATH.");
  return new Map(before).set(text.slice(0, at), text.slice(at + 1));
}
