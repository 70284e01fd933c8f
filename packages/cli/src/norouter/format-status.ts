import { age, list, part, size, table, text } from "../status/cells.ts";

/** Prints what a manager is doing as tables for people. */
export function formatNorouterStatus(status: unknown): string {
  const root = part(status);
  const { software, pid, manifest, uptimeMs } = part(root["process"]);
  const drops = Object.entries(part(root["dropped"])).filter(([, count]) => count !== 0);
  const lines = [
    `norouter manager, ${text(software)}, process ${text(pid)}, up ${age(uptimeMs)}`,
    `manifest ${text(manifest)}, learned routes ${text(root["learnedRoutes"])}`,
    ...drops.map(([reason, count]) => `dropped packets, ${text(reason)}: ${text(count)}`),
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
