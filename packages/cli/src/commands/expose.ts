import { InvalidArgumentError, Option, type Command } from "commander";
import {
  addFlags,
  commonFlags,
  dialingFlags,
  flagsGiven,
  type OptionValues,
} from "../flag-options.ts";

/** `culvert expose`: makes a local service public for as long as the command runs. */
export function registerExpose(program: Command): void {
  const flags = [...dialingFlags, ...commonFlags.filter(({ path }) => !serverOnly.includes(path))];
  const command = program
    .command("expose")
    .summary("make a local service public through the relay")
    .description(
      "Makes a local service public under a name or port of the relay for as long as the command runs, and shows every request. It uses the key of a server, by a session of its own, beside that server where it runs. The relay's configuration has to give the name or port to the server.",
    )
    .argument(
      "<service>",
      "a port of this machine, host:port, unix:/path, or a service of the server",
    )
    .option("--name <name>", "the public name, such as app.example.com")
    .addOption(
      new Option("--port <port>", "or the public port of the relay").argParser((value) => {
        const port = Number(value);
        if (!/^\d{1,5}$/.test(value) || port < 1 || port > 65_535) {
          throw new InvalidArgumentError("It is not a port.");
        }
        return port;
      }),
    )
    .addOption(
      new Option("--tls <end>", "who ends TLS: the relay, the service itself, or this command")
        .choices(["relay", "pass", "local"])
        .default("relay"),
    )
    .option("--cert <file>", "certificate chain for --tls local, PEM")
    .option("--key <file>", "its private key, PEM")
    .option("--ssh <service>", "where ssh connections go")
    .option(
      "--proxy-protocol",
      "tell the service who connects by a PROXY protocol header, version 2",
    )
    .option("--json", "print every request as a line of JSON")
    .addOption(
      new Option("-c, --config <file>", "the configuration of the server")
        .env("CULVERT_CONFIG")
        .default("server.yaml"),
    )
    .addHelpText(
      "after",
      `
Example:
  culvert expose 3000 --name app.example.com --config server.yaml

The relay's configuration needs:
  public: {names: [{server: lan-box, names: [app.example.com]}]}`,
    );
  addFlags(command, flags).action(async (service: string, options: OptionValues) => {
    const { runExpose } = await import("../expose/run-expose.ts");
    const given = flagsGiven(flags, options);
    await runExpose(
      {
        service,
        name: options["name"] as string | undefined,
        port: options["port"] as number | undefined,
        tls: options["tls"] as "relay" | "pass" | "local",
        certFile: options["cert"] as string | undefined,
        keyFile: options["key"] as string | undefined,
        ssh: options["ssh"] as string | undefined,
        proxyProtocol: options["proxyProtocol"] === true ? "v2" : "off",
        json: options["json"] === true,
      },
      { file: String(options["config"]), env: process.env, flags: given },
    );
  });
}

const serverOnly = ["admin.listen", "control.socket", "drain"];
