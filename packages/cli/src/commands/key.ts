import type { Command } from "commander";

/** `culvert key generate` and `culvert key show`. */
export function registerKey(program: Command): void {
  const key = program
    .command("key")
    .summary("make or show the key of a process")
    .description(
      "Makes or shows the key of a process. Its peer id is what others write into their configurations; the file itself stays where it was made.",
    );
  key
    .command("generate")
    .description(
      "Makes an Ed25519 key, writes it to a new file that only you can read (mode 0600), and prints its peer id.",
    )
    .argument("<file>", "the file to write; it must not exist")
    .action(async (file: string) => {
      const { generateIdentity, writeIdentityFile } = await import("@culvert/identity");
      const identity = generateIdentity();
      await writeIdentityFile(file, identity);
      process.stdout.write(`${identity.peerId}\n`);
    });
  key
    .command("show")
    .description("Prints the peer id of a key file.")
    .argument("<file>", "the key file")
    .action(async (file: string) => {
      const { loadIdentityFile } = await import("@culvert/identity");
      process.stdout.write(`${(await loadIdentityFile(file)).peerId}\n`);
    });
}
