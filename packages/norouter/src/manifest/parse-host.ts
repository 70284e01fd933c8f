import { split } from "shlex";
import { errorText } from "@culvert/runtime";
import type { NorouterForward } from "@culvert/wire";
import { parseIpv4 } from "../router/ipv4.ts";
import { managerAddress } from "../router/manager-address.ts";
import type { ManifestHost } from "./manifest.ts";
import { collide, endsInNumber, parseListenText } from "./machine-name.ts";
import { parseForward } from "./parse-forward.ts";
import type { YamlRecord, YamlView } from "./yaml-view.ts";

/** What a host has unless it says otherwise. */
export type HostTemplate = Pick<
  ManifestHost,
  "forwards" | "http" | "socks" | "loopback" | "stateDir" | "writeEtcHosts"
>;

/** Reads `hostTemplate`. */
export function parseTemplate(view: YamlView): HostTemplate {
  const record = view.record([...templateKeys, ...ownKeys]);
  for (const key of ownKeys) {
    if (record.has(key)) record.at(key).problem("belongs to one host and cannot be in a template");
  }
  return parseSettings(record, builtIn);
}

/** Reads a host; what is wrong with it is noted and left out. */
export function parseHost(name: string, view: YamlView, template: HostTemplate): ManifestHost {
  const record = view.record([...ownKeys, ...templateKeys]);
  if (!isHostName(name)) view.problem(`the name ${nameRule}`);
  else if (name.includes(".")) view.warn("a name with dots may hide one of the real DNS");
  return {
    name,
    // Of what is no map at all that has been said.
    vip: view.isMap || view.isNull ? parseVip(record.at("vip")) : "",
    command: parseCommand(record.at("cmd")),
    aliases: parseAliases(record.at("aliases")),
    ...parseSettings(record, template),
  };
}

/** Reads a command: a list of texts, or one text that is split as a shell does. Undefined where there is none. */
export function parseCommand(view: YamlView): readonly string[] | undefined {
  const words = view.isList ? textElements(view).map(([word]) => word) : splitCommand(view);
  // NoRouter takes an empty command for none, too.
  return words.length === 0 ? undefined : words;
}

function splitCommand(view: YamlView): string[] {
  const command = view.isNull ? "" : (view.text() ?? "");
  try {
    return split(command);
  } catch (error) {
    view.problem(`cannot be split into words: ${errorText(error)}`);
    return [];
  }
}

function parseVip(view: YamlView): string {
  if (view.isNull) {
    view.problem("is missing: every host needs a virtual address, such as 127.0.42.101");
    return "";
  }
  const text = view.text();
  if (text === undefined) return "";
  const address = parseIpv4(text);
  const first = (address ?? 0) >>> 24;
  if (address === undefined) view.problem(`${JSON.stringify(text)} must be an IPv4 address`);
  else if (first === 0 || first >= 224) view.problem(`${text} cannot be the address of a host`);
  else if (address === managerAddress) view.problem(`${text} is the manager's own address`);
  return text;
}

function parseAliases(view: YamlView): string[] {
  return textElements(view).map(([alias, element]) => {
    if (!isHostName(alias)) element.problem(`${JSON.stringify(alias)} ${nameRule}`);
    return alias;
  });
}

/** A block that is there stands in place of the template's whole block. */
function parseSettings(record: YamlRecord, template: HostTemplate): HostTemplate {
  const stateDir = record.at("stateDir");
  const settings = {
    forwards: parseForwards(record.at("ports"), template.forwards),
    http: record.has("http") ? parseProxy(record.at("http")) : template.http,
    socks: record.has("socks") ? parseProxy(record.at("socks")) : template.socks,
    loopback: record.has("loopback")
      ? { disable: record.at("loopback").record(["disable"]).at("disable").flag() ?? false }
      : template.loopback,
    stateDir: record.has("stateDir") ? parseStateDir(stateDir) : template.stateDir,
    writeEtcHosts: record.at("writeEtcHosts").flag() ?? template.writeEtcHosts,
  };
  checkListeners(record, settings);
  return settings;
}

function parseForwards(view: YamlView, inherited: readonly NorouterForward[]): NorouterForward[] {
  const forwards = [...inherited];
  for (const [text, element] of textElements(view)) {
    const forward = parseForward(text);
    if (typeof forward === "string") element.problem(forward);
    else if (forwards.some(({ listenPort }) => listenPort === forward.listenPort)) {
      element.problem(`${JSON.stringify(text)}: port ${forward.listenPort} is listed twice`);
    } else forwards.push(forward);
  }
  return forwards;
}

function parseProxy(view: YamlView): { readonly listen: string } {
  const listen = view.record(["listen"]).at("listen");
  const text = listen.text() ?? "";
  if (text !== "" && parseListenText(text) === undefined) {
    listen.problem(`${JSON.stringify(text)} must be host:port, such as 127.0.0.1:18080`);
  }
  return { listen: text };
}

/** Two listeners of one machine that want the same address. What is wrong in the template is told there and only once. */
function checkListeners(record: YamlRecord, { http, socks }: HostTemplate): void {
  const [one, other] = [http.listen, socks.listen].map(parseListenText);
  if (one === undefined || other === undefined || !collide(one, other)) return;
  const own = ["socks", "http"].find((key) => record.has(key));
  if (own === undefined) return;
  const [mine, theirs] = own === "socks" ? [socks, "http"] : [http, "socks"];
  record.at(own).problem(`${mine.listen} is where the ${theirs} proxy of this host listens, too`);
}

function parseStateDir(view: YamlView): { readonly path: string; readonly disable: boolean } {
  const record = view.record(["pathOnAgent", "disable"]);
  return {
    path: record.at("pathOnAgent").text() ?? "",
    disable: record.at("disable").flag() ?? false,
  };
}

/** The texts of a list, and where they stand. */
function textElements(view: YamlView): (readonly [string, YamlView])[] {
  return (view.elements() ?? []).flatMap((element) => {
    if (element.isNull) element.problem("must be a text, not null");
    const text = element.text();
    return text === undefined ? [] : [[text, element] as const];
  });
}

/** Names end up in files of other programs, one a line, between spaces. */
function isHostName(name: string): boolean {
  return /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$/.test(name) && !isAddress(name);
}

/** Programs would go to that address instead of asking for the name. */
function isAddress(name: string): boolean {
  return name.includes(".") && endsInNumber(name);
}

const nameRule =
  "must have letters, digits, -, _ and dots only, begin and end with none of - . and not be like an address";

const ownKeys = ["vip", "cmd", "aliases"];
const templateKeys = ["ports", "http", "socks", "loopback", "stateDir", "writeEtcHosts"];

const builtIn: HostTemplate = {
  forwards: [],
  http: { listen: "" },
  socks: { listen: "" },
  loopback: { disable: false },
  stateDir: { path: "", disable: false },
  writeEtcHosts: false,
};
