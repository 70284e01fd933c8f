import type { Log } from "@culvert/telemetry";

/**
 * Writes a line of an agent's standard error into the log. Our own agents write events in JSON, whose level and fields are kept; any
 * other line is text.
 */
export function logAgentLine(log: Log, line: string): void {
  const { level, event, ...fields } = parseObject(line);
  if (typeof event !== "string" || typeof level !== "string") {
    log.info("norouter.agent.stderr", { line });
    return;
  }
  // Told by our own line.
  delete fields["time"];
  const entry = { said: event, fields };
  if (level === "error") log.error("norouter.agent.stderr", entry);
  else if (level === "warn") log.warn("norouter.agent.stderr", entry);
  else if (level === "debug") log.debug("norouter.agent.stderr", entry);
  else log.info("norouter.agent.stderr", entry);
}

/**
 * What a line says of why an agent ended, should it be its last: any text, but of the events of our own agents only those that have a reason or
 * are a warning.
 */
export function lastWords(line: string): string | undefined {
  const { level, event, reason, text } = parseObject(line);
  if (typeof event !== "string") return line === "" ? undefined : line;
  const why = [reason, text].find((one) => typeof one === "string");
  if (typeof why === "string") return `${event}: ${why}`;
  return level === "warn" || level === "error" ? event : undefined;
}

function parseObject(line: string): Record<string, unknown> {
  if (!line.startsWith("{")) return {};
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    // Text that happens to begin so, or a line that was cut.
    return {};
  }
}
