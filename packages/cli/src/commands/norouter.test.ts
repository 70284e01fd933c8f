import type { Command } from "commander";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createProgram } from "../main.ts";

const manager = vi.hoisted(() => vi.fn());
const agent = vi.hoisted(() => vi.fn());
const status = vi.hoisted(() => vi.fn());
vi.mock("../norouter/run-manager.ts", () => ({ runNorouterManager: manager }));
vi.mock("../norouter/run-agent.ts", () => ({ runNorouterAgent: agent }));
vi.mock("../norouter/show-status.ts", () => ({ showNorouterStatus: status }));

const written: string[] = [];

async function culvert(...words: string[]): Promise<void> {
  const program = createProgram();
  const quiet = (command: Command): void => {
    command.exitOverride().configureOutput({
      writeOut: (text) => written.push(text),
      writeErr: () => undefined,
      outputError: () => undefined,
    });
    command.commands.forEach(quiet);
  };
  quiet(program);
  await program.parseAsync(["node", "culvert", ...words]);
}

beforeEach(() => {
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    written.push(String(text));
    return true;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  [manager, agent, status].forEach((mock) => mock.mockClear());
  written.length = 0;
});

describe("culvert norouter", () => {
  it.each([[["mesh.yaml"]], [["manager", "mesh.yaml"]], [["m", "mesh.yaml"]]])(
    "%j runs a manifest",
    async (words) => {
      await culvert("norouter", ...words);
      expect(manager).toHaveBeenCalledWith(
        "mesh.yaml",
        expect.objectContaining({ restart: true, watch: true, logFormat: "auto" }),
      );
    },
  );

  it.each([
    [["--debug", "-e", "--no-restart", "--log-format", "json", "mesh.yaml"]],
    [["mesh.yaml", "--debug", "-e", "--no-restart", "--log-format", "json"]],
    [["manager", "--debug", "-e", "--no-restart", "--log-format", "json", "mesh.yaml"]],
    [["--debug", "-e", "--no-restart", "--log-format", "json", "manager", "mesh.yaml"]],
  ])("takes options wherever they stand: %j", async (words) => {
    await culvert("norouter", ...words);
    expect(manager).toHaveBeenCalledWith(
      "mesh.yaml",
      expect.objectContaining({ debug: true, openEditor: true, restart: false, logFormat: "json" }),
    );
  });

  it("gives an agent what stands before its word, as manifests do", async () => {
    const networks = ["--bastion-allow", "10.0.0.0/8", "--bastion-allow", "192.168.0.0/16"];
    await culvert("norouter", "--debug", "--bastion", "any", ...networks, "agent", "--automated");
    expect(agent).toHaveBeenCalledWith(
      expect.objectContaining({
        ...{ automated: true, debug: true, bastion: "any" },
        bastionAllow: ["10.0.0.0/8", "192.168.0.0/16"],
      }),
    );
  });

  it("shows a status", async () => {
    await culvert("norouter", "status", "mesh.yaml", "--json", "--control", "x.sock");
    const options = expect.objectContaining({ json: true, control: "x.sock" }) as unknown;
    expect(status).toHaveBeenCalledWith("mesh.yaml", options, process);
  });

  it("prints its version, an example and an installer", async () => {
    await expect(culvert("norouter", "--version")).rejects.toThrow();
    expect(written.join("")).toMatch(/^norouter version \d+\.\d+\.\d+ \(culvert\)\n$/);
    written.length = 0;
    await culvert("norouter", "show-ex");
    expect(written.join("")).toMatch(/^hosts:$/m);
    await culvert("norouter", "show-installer", "--version", "0.6.3");
    expect(written.join("")).toMatch(/^version=0\.6\.3$/m);
    const wrong = culvert("norouter", "show-installer", "--version", "1; rm -rf");
    await expect(wrong).rejects.toThrow(/is no version/);
  });
});
