// dns-query.mjs SERVER PORT NAME: asks for an A record by TCP (RFC 7766) and prints the flags in hex and the addresses.
import { Buffer } from "node:buffer";
import { connect } from "node:net";

const [server, port, name] = process.argv.slice(2);
const labels = name.split(".").map((label) => Buffer.from([label.length, ...Buffer.from(label)]));
const query = Buffer.concat([
  Buffer.from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
  ...labels,
  Buffer.from([0, 0, 1, 0, 1]),
]);
const length = Buffer.alloc(2);
length.writeUInt16BE(query.length);
const socket = connect({ host: server, port: Number(port), timeout: 10_000 });
socket.on("timeout", () => socket.destroy(new Error("no answer within 10 s")));
socket.write(Buffer.concat([length, query]));
let reply = Buffer.alloc(0);
for await (const chunk of socket) {
  reply = Buffer.concat([reply, chunk]);
  if (reply.length >= 2 && reply.length >= 2 + reply.readUInt16BE(0)) break;
}
socket.destroy();
const message = reply.subarray(2);
const addresses = [];
let offset = query.length;
for (let left = message.readUInt16BE(6); left > 0; left -= 1) {
  offset = afterName(message, offset);
  const type = message.readUInt16BE(offset);
  const size = message.readUInt16BE(offset + 8);
  if (type === 1) addresses.push([...message.subarray(offset + 10, offset + 10 + size)].join("."));
  offset += 10 + size;
}
process.stdout.write(`${message.toString("hex", 2, 4)} ${addresses.join(" ")}\n`);

function afterName(bytes, from) {
  let at = from;
  while (bytes[at] !== 0) {
    if (bytes[at] >= 0xc0) return at + 2;
    at += 1 + bytes[at];
  }
  return at + 1;
}
