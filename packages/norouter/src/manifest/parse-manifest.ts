import { LineCounter, parseDocument } from "yaml";
import { ConfigError } from "@culvert/runtime";
import type { Manifest, ManifestHost } from "./manifest.ts";
import { formatProblem, type ManifestProblem } from "./manifest-problem.ts";
import { parseHost, parseTemplate } from "./parse-host.ts";
import { parseRoutes } from "./parse-routes.ts";
import { YamlView } from "./yaml-view.ts";

/** A manifest, and what its writer should know about it. */
export interface ParsedManifest {
  readonly manifest: Manifest;
  readonly warnings: readonly ManifestProblem[];
}

/**
 * Reads a manifest of NoRouter's form.
 * @param name What the file is called in messages.
 * @throws ConfigError `bad_config` with all problems at once, each with its line; they are in `data.problems`, too.
 */
export function parseManifest(text: string, name: string): ParsedManifest {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: false });
  const warnings: ManifestProblem[] = [];
  const problems: ManifestProblem[] = document.errors.map(({ message, pos }) => ({
    line: lines.linePos(pos[0]).line,
    text: message.split("\n")[0] ?? message,
  }));
  // What was read of a broken file would only bring problems that are not there.
  if (problems.length > 0) throw refusal(name, problems);
  const view = new YamlView({ document, lines, problems, warnings }, document.contents, "");
  const manifest = parseRoot(view);
  if (problems.length > 0) throw refusal(name, problems);
  return { manifest, warnings: inOrder(warnings) };
}

function parseRoot(view: YamlView): Manifest {
  const root = view.record(["hostTemplate", "hosts", "routes"]);
  const template = parseTemplate(root.at("hostTemplate"));
  const entries = root.at("hosts").members();
  if (!entries?.size && (view.isNull || root.at("hosts").isNull || entries !== undefined)) {
    root.at("hosts").problem("names no host");
  }
  const hosts = [...(entries ?? [])].map(([name, entry]) => parseHost(name, entry, template));
  checkUnique(hosts, entries ?? new Map());
  return { hosts, routes: parseRoutes(root.at("routes"), hosts) };
}

/** Names mean one host, whatever their case, and so do addresses. */
function checkUnique(hosts: readonly ManifestHost[], entries: ReadonlyMap<string, YamlView>): void {
  const names = new Map<string, string>();
  const addresses = new Map<string, string>();
  for (const { name, aliases, vip } of hosts) {
    const view = entries.get(name);
    for (const one of [name, ...aliases]) {
      const owner = names.get(one.toLowerCase());
      if (owner !== undefined) {
        view?.problem(`the name ${JSON.stringify(one)} is taken by the host ${owner}`);
      }
      names.set(one.toLowerCase(), name);
    }
    const owner = addresses.get(vip);
    if (owner !== undefined && vip !== "") view?.problem(`vip ${vip} is that of ${owner}, too`);
    addresses.set(vip, name);
  }
}

function refusal(name: string, problems: readonly ManifestProblem[]): ConfigError {
  const sorted = inOrder(problems);
  const list = sorted.map((problem) => `\n  ${formatProblem(problem)}`).join("");
  const count = sorted.length === 1 ? "a problem" : `${sorted.length} problems`;
  return new ConfigError("bad_config", `${name} has ${count}:${list}`, {
    data: { file: name, problems: sorted },
  });
}

function inOrder(problems: readonly ManifestProblem[]): ManifestProblem[] {
  return [...problems].sort((left, right) => (left.line ?? 0) - (right.line ?? 0));
}
