import type { Command } from "commander";

/** `culvert demo`: everything at once on this machine. */
export function registerDemo(program: Command): void {
  program
    .command("demo")
    .summary("show the whole thing at work on this machine")
    .description(
      "Starts a relay, a server, a client and a small TCP end server as processes of their own in a temporary folder, sends some MiB of random bytes through all three hops and back, checks them, and tells how to connect with nc. Stays up until Ctrl-C, then removes everything.",
    )
    .option("--once", "end after the check instead of staying up")
    .action(async (options: { readonly once?: boolean }) => {
      const { runDemo } = await import("../demo/run-demo.ts");
      await runDemo({ once: options.once === true });
    });
}
