import type { Command } from "commander";

/** `culvert demo-end-server`: the TCP server of the demonstration; not for people, so not listed. */
export function registerDemoEndServer(program: Command): void {
  program
    .command("demo-end-server", { hidden: true })
    .description("Sends back what it gets, on a free TCP port of this machine.")
    .action(async () => {
      const { runEchoServer } = await import("../demo/echo-server.ts");
      await runEchoServer();
    });
}
