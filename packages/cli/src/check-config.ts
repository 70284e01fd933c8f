import { configWarnings, detectRole, loadConfig, worstCaseMemory } from "@culvert/config";
import { loadIdentityFile } from "@culvert/identity";
import { quinnAvailable } from "@culvert/quic";
import { formatByteSize } from "@culvert/runtime";
import { chooseListenEngine } from "@culvert/transport";
import { stringify } from "yaml";

/** Where a command reads its environment and writes its results. */
export interface CommandIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/**
 * Checks a configuration, its key file and, of a relay, its engine, and prints what they come to.
 * @throws ConfigError where anything is wrong with either.
 */
export async function checkConfig(file: string, json: boolean, io: CommandIo): Promise<void> {
  const config = loadConfig(detectRole(file), { file, env: io.env });
  const { peerId } = await loadIdentityFile(config.identity.keyFile);
  if (config.role === "relay") {
    for (const { host } of config.listen)
      chooseListenEngine(config.quic.policy, host, quinnAvailable);
  }
  const memory = worstCaseMemory(config);
  const warnings = configWarnings(config);
  if (json) {
    const { role, effective } = config;
    io.stdout.write(
      `${JSON.stringify({ role, peerId, effective, memory, warnings }, undefined, 2)}\n`,
    );
    return;
  }
  for (const warning of warnings) io.stderr.write(`warning: ${warning}\n`);
  const items = memory.items.map(
    ({ what, bytes, because }) => `#   ${formatByteSize(bytes).padStart(9)}  ${what}: ${because}\n`,
  );
  io.stdout.write(
    `# ${config.file} is a sound configuration of a ${config.role} with the peer id
# ${peerId}
# In full, defaults included:
${stringify(config.effective, { lineWidth: 0 })}# Worst-case buffer memory: ${formatByteSize(memory.totalBytes)}
${items.join("")}`,
  );
}
