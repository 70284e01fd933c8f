import type { NorouterRoute } from "@culvert/wire";
import { formatNetwork, parseIpv4, parseNetwork } from "../router/ipv4.ts";
import { endsInNumber } from "./machine-name.ts";
import type { ManifestHost } from "./manifest.ts";
import type { YamlView } from "./yaml-view.ts";

/** Reads `routes`; what is wrong with one is noted, and the route left out. */
export function parseRoutes(view: YamlView, hosts: readonly ManifestHost[]): NorouterRoute[] {
  return (view.elements() ?? []).flatMap((element) => {
    if (!element.requireMap()) return [];
    const record = element.record(["via", "to"]);
    const via = parseVia(record.at("via"), hosts);
    const targets = parseTargets(record.at("to"));
    return via === undefined ? [] : [{ ...targets, via }];
  });
}

function parseVia(view: YamlView, hosts: readonly ManifestHost[]): string | undefined {
  if (view.isNull) view.problem("is missing: the host that knows the way");
  const text = view.text();
  if (text === undefined) return undefined;
  const host = hosts.find(({ name }) => name === text);
  if (host !== undefined) return host.vip === "" ? undefined : host.vip;
  if (parseIpv4(text) !== undefined) {
    if (hosts.every(({ vip }) => vip !== text)) view.warn(`${text} is the address of no host`);
    return text;
  }
  const owner = hosts.find(({ aliases }) => aliases.includes(text));
  view.problem(
    owner === undefined
      ? `${JSON.stringify(text)} is the name of no host`
      : `${JSON.stringify(text)} is an alias; its host is ${owner.name}`,
  );
  return undefined;
}

function parseTargets(view: YamlView): Pick<NorouterRoute, "toCidr" | "toHostnameGlob"> {
  const toCidr: string[] = [];
  const toHostnameGlob: string[] = [];
  const elements = view.elements();
  if (view.isNull || elements?.length === 0) view.problem("names nothing that is routed");
  for (const element of elements ?? []) {
    const text = element.text() ?? (element.isNull ? "" : undefined);
    if (text === undefined) continue;
    const network = parseNetwork(text);
    if (network !== undefined) toCidr.push(formatNetwork(network));
    else if (parseIpv4(text) !== undefined) {
      element.problem(`${text} must be a network: write ${text}/32 for this one address`);
    } else if (globPattern.test(text) && !endsInNumber(text)) {
      toHostnameGlob.push(text);
      if (/^[\d.]*\d[\d.*]*$/.test(text)) element.warn(`${text} ${neverFits}`);
    } else {
      const wanted = "must be an IPv4 network such as 10.0.0.0/8 or a name such as *.corp.example";
      element.problem(`${JSON.stringify(text)} ${wanted}`);
    }
  }
  return { toCidr, toHostnameGlob };
}

const neverFits = "stands for names and fits no address; a network is written as 10.0.0.0/8";
const globPattern = /^[A-Za-z0-9_.*-]{1,253}$/;
