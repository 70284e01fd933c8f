import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { PeerId } from "@culvert/identity";
import type { EngineName, QuicSettings, UdpAddress } from "@culvert/quic";
import { within } from "../wait-until.ts";

/** A process of its own that speaks QUIC, echoes every stream, and can be stopped or killed. */
export interface EnginePeer {
  readonly peerId: PeerId;
  /** Where it listens; undefined for one that dials. */
  readonly address: UdpAddress | undefined;
  /** SIGSTOP: it answers nothing. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** SIGKILL. */
  kill(): void;
  /** Ends it, in whatever state it is, and waits until it is gone. */
  dispose(): Promise<void>;
}

/** What a peer is to do: listen where told, or dial a peer that is known. */
export interface EnginePeerOptions {
  readonly settings: QuicSettings;
  readonly role: EnginePeerRole;
}

/** Which end of the handshake a peer takes. */
export type EnginePeerRole =
  | { readonly kind: "listen"; readonly address: UdpAddress }
  | { readonly kind: "dial"; readonly address: UdpAddress; readonly expectedPeer: PeerId };

/** What the peer program reads as its only argument, in JSON. */
export interface EnginePeerTask extends EnginePeerOptions {
  readonly engine: EngineName;
}

/** What the peer program prints, in JSON on one line, once it is ready. */
export interface EnginePeerReady {
  readonly peerId: PeerId;
  readonly address?: UdpAddress;
}

/**
 * Starts a peer in a child process, from source. It ends when its standard input does, so none outlives the test run.
 * @throws Error with the child's standard error, if it does not become ready.
 */
export async function spawnEnginePeer(
  engine: EngineName,
  options: EnginePeerOptions,
): Promise<EnginePeer> {
  const task: EnginePeerTask = { engine, ...options };
  const main = fileURLToPath(new URL("./engine-peer-main.ts", import.meta.url));
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "--conditions=@culvert/source", main, JSON.stringify(task)],
    { stdio: ["pipe", "pipe", "pipe"], cwd: fileURLToPath(new URL(".", import.meta.url)) },
  );
  let complaint = "";
  child.stderr.on("data", (text: Buffer) => (complaint = (complaint + String(text)).slice(-4_000)));
  child.stdin.on("error", () => undefined);
  const gone = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const dispose = async (): Promise<void> => {
    child.kill("SIGCONT");
    child.kill("SIGKILL");
    await within(gone, { what: "the end of the peer process" });
  };
  const firstLine = new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).once("line", resolve);
    child.once("error", reject);
    child.once("close", () => reject(new Error(`the peer process ended: ${complaint}`)));
  });
  try {
    const line = await within(firstLine, { limitMs: 20_000, what: "a ready peer process" });
    const ready = JSON.parse(line) as EnginePeerReady;
    return {
      peerId: ready.peerId,
      address: ready.address,
      freeze: () => void child.kill("SIGSTOP"),
      thaw: () => void child.kill("SIGCONT"),
      kill: () => void child.kill("SIGKILL"),
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}
