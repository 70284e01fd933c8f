// Runs the real Telebit relay as a library (checkout in TELEBIT_RELAY_CHECKOUT) on free ports of 127.0.0.1 and reports them on
// standard output. Its settings come as JSON in REAL_RELAY: { secret, key, cert }.
import { createServer as createHttpServer } from "node:http";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import "./mend-first-chunk.mjs";

const checkout = process.env.TELEBIT_RELAY_CHECKOUT;
const { secret, key, cert } = JSON.parse(process.env.REAL_RELAY);
const require = createRequire(join(checkout, "package.json"));
const report = (event, value) => process.stdout.write(`${JSON.stringify({ event, value })}\n`);
// The library talks on standard output; reports go there alone.
for (const word of ["log", "info", "debug"]) console[word] = console.error;

const jwt = require("jsonwebtoken");
const state = {
  defaults: {},
  extensions: {},
  tcp: {},
  Promise,
  secret,
  servernames: ["relay.localhost"],
  config: { sharedDomain: "localhost" },
  tlsOptions: { key, cert },
  authenticate: async ({ auth }) => jwt.verify(auth, secret),
};
require(join(checkout, "lib/handlers.js")).create(state);
const relay = require(join(checkout, "lib/relay.js")).create(state);

const listen = (server) =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(server.address().port));
  });
const devices = createHttpServer((_request, response) => {
  response.statusCode = 404;
  response.end();
});
const { Server } = require("ws");
new Server({ server: devices }).on("connection", relay.ws);
const publicServer = (port) =>
  createServer((socket) => {
    socket.on("error", () => undefined);
    relay.tcp(socket, port);
  });
report("listening", {
  devices: await listen(devices),
  https: await listen(publicServer(443)),
  http: await listen(publicServer(80)),
});
