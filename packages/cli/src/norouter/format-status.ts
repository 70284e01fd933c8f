import { age, list, part, size, table, text } from "../status/cells.ts";

/** Prints what a manager is doing as tables for people. */
export function formatNorouterStatus(status: unknown): string {
  const root = part(status);
  const { software, pid, manifest, uptimeMs } = part(root["process"]);
  const lines = [
    `norouter manager, ${text(software)}, process ${text(pid)}, up ${age(uptimeMs)}`,
    `manifest ${text(manifest)}, learned routes ${text(root["learnedRoutes"])}`,
    ...counts("dropped packets", root["dropped"]),
    ...counts("refused routes", root["refusedRoutes"]),
  ];
  const agents = list(root["agents"])
    .map(part)
    .map((agent) => [
      text(agent["name"]),
      text(agent["vip"]),
      text(agent["state"]),
      text(agent["version"]),
      age(agent["ageMs"]),
      text(agent["restarts"]),
      size(agent["queuedBytes"]),
      text(agent["droppedPackets"]),
      text(agent["reason"]).slice(0, 60),
    ]);
  const pairs = list(root["pairs"])
    .map(part)
    .map(({ from, to, packets, bytes }) => [text(from), text(to), text(packets), size(bytes)]);
  const agentHead = ["host", "vip", "state", "version", "for", "restarts", "queued", "dropped"];
  return [
    `${lines.join("\n")}\n`,
    table("Agents", [...agentHead, "why"], agents),
    table("Traffic", ["from", "to", "packets", "bytes"], pairs),
  ].join("");
}

/** A line for each reason there was. */
function counts(what: string, byReason: unknown): string[] {
  return Object.entries(part(byReason))
    .filter(([, count]) => count !== 0)
    .map(([reason, count]) => `${what}, ${text(reason)}: ${text(count)}`);
}
