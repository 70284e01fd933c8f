import { expect, it } from "vitest";
import { freePort } from "../../support/ports.ts";
import { EchoConnection, oneByte } from "./round-trip.ts";

it("a connection that met itself, since nobody listens where it took its own port, is none", async () => {
  const port = await freePort();
  // Chosen here, by chance elsewhere: the kernel joins both ends, and every byte comes back.
  const toItself = { host: "127.0.0.1", port, localPort: port };
  const connection = EchoConnection.start(toItself);
  await expect(connection.roundTrip(oneByte, 5_000)).rejects.toThrow("connected to itself");
  connection.end();
});
