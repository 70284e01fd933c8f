// The machine inside a namespace: a web server whose page tells which address was asked, and a DNS server by UDP.
// resident.mjs '{"web": {"127.0.0.1": "host1"}, "dns": {"address": "198.51.100.53", "names": {"a.example": "198.51.100.101"}}}'
// "ready" on standard output once both listen; it ends with its standard input.
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { createServer } from "node:http";
import { page } from "./page.mjs";

const plan = JSON.parse(process.argv[2] ?? "{}");
let plenty = Buffer.alloc(0);
const listening = [];
for (const [address, name] of Object.entries(plan.web ?? {})) {
  const server = createServer((request, response) => {
    if (request.method !== "POST")
      return response.end(request.url === "/" ? page(name) : padding(request.url));
    let bytes = 0;
    request.on("data", (chunk) => (bytes += chunk.length));
    request.on("end", () => response.end(`${name} ${bytes}\n`));
  });
  listening.push(new Promise((resolve) => server.listen(80, address, resolve)));
}
if (plan.dns !== undefined) {
  const socket = createSocket("udp4");
  socket.on("message", (query, from) => socket.send(answer(query), from.port, from.address));
  listening.push(new Promise((resolve) => socket.bind(53, plan.dns.address, resolve)));
}
await Promise.all(listening);
process.stdout.write("ready\n");
process.stdin.resume().on("end", () => process.exit(0));

/** As many bytes as the path says. */
function padding(url) {
  const bytes = Number(url.slice(1));
  if (bytes > plenty.length) plenty = Buffer.alloc(bytes, "culvert\n");
  return plenty.subarray(0, bytes);
}

/** RFC 1035 section 4.1: the header and the question come back, with an A record if the name is known. */
function answer(query) {
  const labels = [];
  let offset = 12;
  while (query[offset] !== 0) {
    const end = offset + 1 + query[offset];
    labels.push(query.toString("latin1", offset + 1, end));
    offset = end;
  }
  const type = query.readUInt16BE(offset + 1);
  const question = query.subarray(12, offset + 5);
  const address = plan.dns.names[labels.join(".").toLowerCase()];
  const found = address !== undefined && type === 1;
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(address === undefined ? 0x8183 : 0x8180, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(found ? 1 : 0, 6);
  if (!found) return Buffer.concat([header, question]);
  const record = Buffer.from([
    0xc0,
    12,
    0,
    1,
    0,
    1,
    0,
    0,
    0,
    60,
    0,
    4,
    ...address.split(".").map(Number),
  ]);
  return Buffer.concat([header, question, record]);
}
