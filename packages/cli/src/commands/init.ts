import type { TransportName } from "@culvert/config";
import { InvalidArgumentError, type Command } from "commander";

/** `culvert init`: the files of a trial. */
export function registerInit(program: Command): void {
  program
    .command("init")
    .summary("write the configurations and keys of a trial")
    .description(
      "Writes relay.yaml, server.yaml and client.yaml and a key for each into a folder, for a trial on one machine. Nothing is overwritten.",
    )
    .argument("<dir>", "the folder; it is made where it does not exist")
    .option(
      "--relay-port <port>",
      "UDP port of the relay; its admin port is 10 and its port for WebSocket 11 higher",
      port,
      30_380,
    )
    .option("--listen-port <port>", "TCP port where the client listens", port, 30_381)
    .option(
      "--target-port <port>",
      "TCP port of your server, which the client may reach",
      port,
      30_382,
    )
    .option("--server-name <name>", "the server's name on the relay", "lan-box")
    .option("--client-name <name>", "the client's name on the relay", "laptop")
    .option(
      "--transport <names>",
      "what carries the sessions: quic, wss (WebSocket, where UDP is blocked), or both with a comma, the preferred one first; norouter: the relay starts the server by a link",
      transports,
      ["quic", "wss"] as const,
    )
    .addHelpText(
      "after",
      `
Example:
  culvert init trial --target-port 22     Makes 127.0.0.1:30381 lead to the ssh server of this machine.`,
    )
    .action(async (dir: string, options: InitOptions) => {
      const { initTrial } = await import("../trial/init-trial.ts");
      const { transport, ...others } = options;
      process.stdout.write(
        await initTrial(dir, {
          ...others,
          transports: transport,
          program: thisProgram(),
        }),
      );
    });
}

/** How this program was called; a link starts it in a folder and an environment of its own. */
function thisProgram(): readonly string[] {
  const [, script = ""] = process.argv;
  return [process.execPath, ...process.execArgv, script];
}

interface InitOptions {
  readonly relayPort: number;
  readonly listenPort: number;
  readonly targetPort: number;
  readonly serverName: string;
  readonly clientName: string;
  readonly transport: readonly TransportName[];
}

function transports(text: string): readonly TransportName[] {
  if (text === "norouter") return [text];
  const names = text.split(",");
  const known = names.filter((name) => name === "quic" || name === "wss");
  if (known.length !== names.length || new Set(names).size !== names.length) {
    throw new InvalidArgumentError("It must be quic, wss, quic,wss, wss,quic or norouter.");
  }
  return known;
}

function port(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > 65_535) {
    throw new InvalidArgumentError("It must be a port from 1 to 65535.");
  }
  return value;
}
