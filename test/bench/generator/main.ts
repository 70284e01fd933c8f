/** The load generator, a process of its own so that reading logs and drawing charts does not slow the load: JSON lines in, JSON lines out. */
import { connect } from "node:net";
import { createInterface } from "node:readline";
import type { Address } from "../peers/peer.ts";
import { connections } from "./connections.ts";
import { echo } from "./echo.ts";
import { HeldConnections } from "./held-connections.ts";
import type { Operations, Reply, Request } from "./operations.ts";
import { EchoConnection, metItself, oneByte } from "./round-trip.ts";

const held = new HeldConnections();

const operations: {
  [Name in keyof Operations]: (
    args: Operations[Name]["args"],
  ) => Promise<Operations[Name]["result"]>;
} = {
  connects: tryConnect,
  async probe({ host, port, withinMs }) {
    const connection = EchoConnection.start({ host, port });
    try {
      await connection.roundTrip(oneByte, withinMs);
      return null;
    } finally {
      connection.end();
    }
  },
  connections,
  echo,
  hold: (args) => held.hold(args),
  exchange: (args) => held.exchange(args),
  release: () => held.release(),
};

function tryConnect(address: Address): Promise<null> {
  return new Promise((resolve, reject) => {
    const socket = connect(address, () => {
      if (metItself(socket)) reject(new Error("connected to itself: nobody listens there"));
      else resolve(null);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

async function answer(line: string): Promise<void> {
  const { id, operation, args } = JSON.parse(line) as Request;
  let reply: Reply;
  try {
    reply = { id, result: await operations[operation](args as never) };
  } catch (error) {
    reply = { id, error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}

createInterface(process.stdin)
  .on("line", (line) => void answer(line))
  // Whoever started it is gone.
  .on("close", () => process.exit(0));
