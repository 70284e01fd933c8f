import { drawLines } from "../chart.ts";
import { short, table } from "../table.ts";
import { writeResult } from "../results.ts";
import type { ConnectionRow, Growth, ServerRow } from "./growth.ts";

/** The growth tables as Markdown. */
export function growthTables(growth: Growth): string {
  const { connections, servers, machine, path, startedAt, failures } = growth;
  const parts = [
    `${startedAt.slice(0, 10)}, ${machine.cores} cores (${machine.processor}), Node ${machine.node}, path: ${path}; load average at the start ${machine.loadAtStart.toFixed(1)}.`,
    ...(connections.length === 0 ? [] : [connectionTable(connections)]),
    ...(servers.length === 0 ? [] : [serverTable(servers)]),
    ...failures.map((each) => `Not measured: ${each}.`),
  ];
  return `${parts.join("\n\n")}\n`;
}

/** Writes the growth charts; gives their file names. */
export async function drawGrowth(growth: Growth, folder: string): Promise<readonly string[]> {
  const { connections, servers, path } = growth;
  const along = "connections open";
  const processes = (value: (row: ConnectionRow, role: string) => number, from = 1) =>
    roles.map((role) => ({
      label: role,
      ours: role === "relay",
      points: connections
        .filter(({ open }) => open >= from)
        .map((row) => ({ x: row.open, y: value(row, role) })),
    }));
  const charts = {
    "growth-cpu.svg": drawLines({
      title: "CPU per MiB there and back",
      subtitle: `ms, 16 KiB blocks over all open connections; flat is the aim; ${path}`,
      xTitle: along,
      unit: "ms",
      lines: processes(({ cpuPerMib }, role) => (cpuPerMib[role] ?? 0) * 1_000),
    }),
    "growth-memory.svg": drawLines({
      title: "memory per open connection",
      subtitle: `KiB of resident memory, from 100 connections up; ${path}`,
      xTitle: along,
      unit: "KiB",
      lines: processes(({ memory, open }, role) => (memory[role] ?? 0) / 1_024 / open, 100),
    }),
    "growth-connect.svg": drawLines({
      title: "one more connection, to its first byte",
      subtitle: `ms, by the number of connections that are open; flat is the aim; ${path}`,
      xTitle: along,
      unit: "ms",
      lines: latencyLines(connections.map((row) => ({ x: row.open, ...row }))),
    }),
    "growth-servers.svg": drawLines({
      title: "one more connection, to its first byte, by attached servers",
      subtitle: `ms; flat is the aim; ${path}`,
      xTitle: "servers attached",
      unit: "ms",
      lines: latencyLines(servers.map((row) => ({ x: row.attached, ...row }))),
    }),
  };
  const drawn = Object.entries(charts).filter(
    ([name]) => (name === "growth-servers.svg" ? servers : connections).length > 0,
  );
  for (const [name, svg] of drawn) await writeResult(folder, name, svg);
  return drawn.map(([name]) => name);
}

function latencyLines(rows: readonly { x: number; p50: number; p99: number }[]) {
  return (["p50", "p99"] as const).map((key) => ({
    label: key,
    ours: key === "p50",
    points: rows.map((row) => ({ x: row.x, y: row[key] })),
  }));
}

function connectionTable(rows: readonly ConnectionRow[]): string {
  const head = [
    "connections open",
    ...roles.map((role) => `${role} CPU ms/MiB`),
    ...roles.map((role) => `${role} KiB/connection`),
    "set-up p50 ms",
    "set-up p99 ms",
  ];
  return table(
    head,
    rows.map(({ open, cpuPerMib, memory, p50, p99 }) => [
      open.toLocaleString("en"),
      ...roles.map((role) => short((cpuPerMib[role] ?? Number.NaN) * 1_000)),
      // Below that the noise of a heap is larger than the connections.
      ...roles.map((role) =>
        open < 100 ? "-" : short((memory[role] ?? Number.NaN) / 1_024 / open),
      ),
      short(p50),
      short(p99),
    ]),
  );
}

function serverTable(rows: readonly ServerRow[]): string {
  return table(
    [
      "servers attached",
      "relay memory MiB",
      "relay idle CPU %",
      "relay CPU ms/MiB",
      "set-up p50 ms",
      "set-up p99 ms",
    ],
    rows.map((row) => [
      row.attached.toLocaleString("en"),
      short(row.relayMemory / 1_048_576),
      short(row.relayIdleCpu),
      short(row.relayCpuPerMib * 1_000),
      short(row.p50),
      short(row.p99),
    ]),
  );
}

const roles = ["client", "relay", "server"];
