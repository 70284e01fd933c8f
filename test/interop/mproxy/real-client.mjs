// Runs the real Telebit client as a library (checkout in TELEBIT_CHECKOUT) and reports on standard output, one JSON object a line.
// Its settings come as JSON in REAL_CLIENT: { relay, token, sshAuto, servernames, ports, tls: { key, cert } }.
import { createRequire } from "node:module";
import { join } from "node:path";
import "./mend-first-chunk.mjs";

const checkout = process.env.TELEBIT_CHECKOUT;
const settings = JSON.parse(process.env.REAL_CLIENT);
const require = createRequire(import.meta.url);
const report = (event, value) => process.stdout.write(`${JSON.stringify({ event, value })}\n`);
const { TelebitRemote } = require(join(checkout, "lib/remote.js"));
// The library talks on standard output; reports go there alone.
for (const word of ["log", "info", "debug"]) console[word] = console.error;

const remote = TelebitRemote.createConnection(
  {
    relay: settings.relay,
    token: settings.token,
    config: { sshAuto: settings.sshAuto },
    servernames: settings.servernames,
    ports: settings.ports,
    sortingHat: join(checkout, "lib/sorting-hat.js"),
    handlers: {
      grant: (grants) => report("grant", grants),
      access_token: (token) => report("access_token", token),
    },
    greenlock: { tlsOptions: settings.tls, middleware: (next) => next },
  },
  () => report("connected", null),
);
remote.on("close", () => report("closed", null));
remote.on("error", (error) => report("error", String(error)));
