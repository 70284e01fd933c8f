import { WireError } from "@culvert/runtime";
import type { GoJsonValue } from "./go-json.ts";
import { JsonObject, addressOf, mustBe, textOf } from "./json-reader.ts";
import type { NorouterRequest, NorouterResult } from "./message.ts";

/** A port of the agent's own virtual address, and where its connections go. */
export interface NorouterForward {
  readonly listenPort: number;
  /** An address or a name of a host, as the agent sees it. */
  readonly connectIp: string;
  readonly connectPort: number;
  /** "tcp"; anything else is for the agent to refuse. */
  readonly proto: string;
}

/** A port of a virtual address. */
export interface NorouterPort {
  readonly ip: string;
  readonly port: number;
  readonly proto: string;
}

/** What is reached through the host with the virtual address `via`. */
export interface NorouterRoute {
  readonly toCidr: readonly string[];
  readonly toHostnameGlob: readonly string[];
  readonly via: string;
}

/** What a manager tells an agent once (NOROUTER.md §3). Addresses are dotted; "" where none was given. */
export interface ConfigureArgs {
  /** The agent's own virtual address. */
  readonly me: string;
  readonly forwards: readonly NorouterForward[];
  /** The ports of all other hosts. */
  readonly others: readonly NorouterPort[];
  /** Names and aliases of all hosts, the agent's own included. */
  readonly hostnameMap: ReadonlyMap<string, string>;
  /** Where its HTTP proxy listens, as `host:port`; "" for none. */
  readonly http: { readonly listen: string };
  readonly socks: { readonly listen: string };
  readonly loopback: { readonly disable: boolean };
  /** An empty path is the agent's own choice. */
  readonly stateDir: { readonly path: string; readonly disable: boolean };
  readonly writeEtcHosts: boolean;
  /** Later ones win. */
  readonly routes: readonly NorouterRoute[];
  readonly nameServers: readonly NorouterPort[];
}

/** What an agent says of itself when it is configured. */
export interface ConfigureResult {
  readonly features: readonly string[];
  readonly version: string;
}

/** The only `op` there is. */
export const configureOp = "configure";

/** The request that configures an agent. */
export function configureRequest(id: number, args: ConfigureArgs): NorouterRequest {
  return { kind: "request", id, op: configureOp, args: wireArgs(args) };
}

/** The answer of an agent that is configured. */
export function configureResult(
  id: number,
  { features, version }: ConfigureResult,
): NorouterResult {
  const data: GoJsonValue = {
    features: features.length === 0 ? undefined : features,
    version: version === "" ? undefined : version,
  };
  return { kind: "result", id, op: configureOp, data };
}

/** The answer of an agent that could not do what it was asked. NoRouter's own agents say nothing; its manager logs this. */
export function errorResult({ id, op }: NorouterRequest, text: string): NorouterResult {
  return { kind: "result", id, op, error: text };
}

/**
 * Reads the arguments of a configure request.
 * @throws WireError `malformed_message` naming the member; also where there are none.
 */
export function parseConfigureArgs(value: unknown): ConfigureArgs {
  if (value === undefined) throw new WireError("malformed_message", "configure without args");
  const args = new JsonObject(value, "args");
  const stateDir = args.object("stateDir");
  return {
    me: args.address("me"),
    forwards: args.list("forwards", {}, parseForward),
    others: args.list("others", {}, parsePort),
    hostnameMap: args.addresses("hostnameMap"),
    http: { listen: args.object("http").text("listen") },
    socks: { listen: args.object("socks").text("listen") },
    loopback: { disable: args.object("loopback").flag("disable") },
    stateDir: { path: stateDir.text("path"), disable: stateDir.flag("disable") },
    writeEtcHosts: args.flag("writeEtcHosts"),
    routes: args.list("routes", {}, parseRoute),
    nameServers: args.list("nameServers", {}, parsePort),
  };
}

/**
 * Reads the data of a configure result.
 * @throws WireError `malformed_message` naming the member.
 */
export function parseConfigureResult(value: unknown): ConfigureResult {
  const data = new JsonObject(value ?? null, "data");
  return { features: data.list("features", "", textOf), version: data.text("version") };
}

function parseForward(value: unknown, path: string): NorouterForward {
  const forward = new JsonObject(value, path);
  return {
    listenPort: forward.count("listen_port", 65_535),
    connectIp: forward.text("connect_ip"),
    connectPort: forward.count("connect_port", 65_535),
    proto: forward.text("proto"),
  };
}

function parsePort(value: unknown, path: string): NorouterPort {
  const entry = new JsonObject(value, path);
  return { ip: entry.address("ip"), port: entry.count("port", 65_535), proto: entry.text("proto") };
}

function parseRoute(value: unknown, path: string): NorouterRoute {
  const route = new JsonObject(value, path);
  return {
    toCidr: parseTexts(route, "toCIDR"),
    toHostnameGlob: parseTexts(route, "toHostnameGlob"),
    via: addressOf(route.raw("via") ?? "", route.pathOf("via")),
  };
}

function parseTexts(route: JsonObject, key: string): string[] {
  const value = route.raw(key);
  if (typeof value === "string") {
    const wanted =
      "a list of texts (NoRouter's design document shows one text; no program sends it)";
    throw mustBe(route.pathOf(key), wanted, value);
  }
  return route.list(key, "", textOf);
}

/** In the order of NoRouter's own; the four objects are there even when they are empty, and the lists only when they are not. */
function wireArgs(args: ConfigureArgs): GoJsonValue {
  return {
    me: args.me,
    forwards: nonEmpty(
      args.forwards.map(({ listenPort, connectIp, connectPort, proto }) => ({
        listen_port: listenPort,
        connect_ip: connectIp,
        connect_port: connectPort,
        proto,
      })),
    ),
    others: nonEmpty(args.others.map(wirePort)),
    hostnameMap: args.hostnameMap.size === 0 ? undefined : args.hostnameMap,
    http: { listen: orAbsent(args.http.listen) },
    socks: { listen: orAbsent(args.socks.listen) },
    loopback: { disable: args.loopback.disable || undefined },
    stateDir: {
      path: orAbsent(args.stateDir.path),
      disable: args.stateDir.disable || undefined,
    },
    writeEtcHosts: args.writeEtcHosts || undefined,
    routes: nonEmpty(
      args.routes.map(({ toCidr, toHostnameGlob, via }) => ({
        toCIDR: nonEmpty(toCidr) ?? null,
        toHostnameGlob: nonEmpty(toHostnameGlob) ?? null,
        via,
      })),
    ),
    nameServers: nonEmpty(args.nameServers.map(wirePort)),
  };
}

function wirePort({ ip, port, proto }: NorouterPort): GoJsonValue {
  return { ip, port, proto };
}

function nonEmpty<Element>(list: readonly Element[]): readonly Element[] | undefined {
  return list.length === 0 ? undefined : list;
}

function orAbsent(text: string): string | undefined {
  return text === "" ? undefined : text;
}
