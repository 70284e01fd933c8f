/**
 * An agent that does only what a test asks of it, with frames made by hand: words before `agent --automated` say how it behaves.
 * What it receives it tells on standard error.
 */
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { clearInterval, setInterval } from "node:timers";

const words = new Map(process.argv.slice(2).map((word) => word.split("=", 2)));

function frame(type, payload) {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(0x42000000 + payload.length + 4);
  header.writeUInt16BE(type, 4);
  return Buffer.concat([header, payload]);
}

function say(message) {
  process.stdout.write(frame(2, Buffer.from(JSON.stringify(message))));
}

function packet(source, destination, length) {
  const bytes = Buffer.alloc(length);
  bytes[0] = 0x45;
  bytes.set(source.split(".").map(Number), 12);
  bytes.set(destination.split(".").map(Number), 16);
  return bytes;
}

function answer(request) {
  const body = { request_id: request.body.id, op: "configure" };
  if (words.has("silent")) return;
  if (words.has("refuse")) {
    say({ type: "result", body: { ...body, error: words.get("refuse") } });
    return;
  }
  const features = words.has("weak")
    ? ["loopback"]
    : ["loopback", "tcp", "http", "loopback.disable", "socks", "hostaliases", "etchosts"];
  say({ type: "result", body: { ...body, data: { features, version: "test" } } });
  const begin = () => words.forEach((text, word) => act(word, text));
  if (!words.has("after")) return begin();
  const poll = setInterval(() => {
    if (!existsSync(words.get("after"))) return;
    clearInterval(poll);
    begin();
  }, 10);
}

/** Answers an ICMP echo request, as every agent does. */
function echo(request) {
  process.stderr.write("echo\n");
  if (words.has("mute")) return;
  const reply = Buffer.from(request);
  request.copy(reply, 12, 16, 20);
  request.copy(reply, 16, 12, 16);
  reply[20] = 0;
  process.stdout.write(frame(1, reply));
}

function act(word, text) {
  const [first, second, third] = (text ?? "").split(",");
  if (word === "send") {
    const bytes = packet(first, second, Number(third ?? 20));
    setInterval(() => process.stdout.write(frame(1, bytes)), 10);
  }
  if (word === "flood") {
    const bytes = packet(first, second, 60_000);
    setInterval(() => process.stdout.write(frame(1, bytes)), 1);
  }
  if (word === "raw") setInterval(() => process.stdout.write(Buffer.from(text, "hex")), 10);
  if (word === "suggest") {
    say({ type: "event", body: { type: "routeSuggestion", data: { ip: [first], route: second } } });
  }
  if (word === "die-once" && !existsSync(text)) {
    writeFileSync(text, "");
    process.stderr.write("I am to die\n", () => process.exit(7));
  }
  if (word === "die") process.exit(5);
  if (word === "stuck") {
    process.stdin.pause();
    setInterval(() => undefined, 1_000);
  }
}

if (words.has("banner")) process.stdout.write("Welcome to this host!\n");
if (words.has("stay")) setInterval(() => undefined, 1_000);
if (words.has("wrapper")) {
  const inner = spawn(process.execPath, ["-e", "setInterval(() => 0, 1000)"], { stdio: "ignore" });
  process.stderr.write(`inner ${inner.pid}\n`);
}

let rest = Buffer.alloc(0);
process.stdin.on("data", (chunk) => {
  rest = Buffer.concat([rest, chunk]);
  while (rest.length >= 8 && rest.length >= 4 + (rest.readUInt32BE(0) & 0xffffff)) {
    const end = 4 + (rest.readUInt32BE(0) & 0xffffff);
    const payload = rest.subarray(8, end);
    if (rest.readUInt16BE(4) === 2) answer(JSON.parse(payload.toString()));
    else if (payload[9] === 1 && payload[20] === 8) echo(payload);
    else {
      const [from, to] = [12, 16].map((at) => [...payload.subarray(at, at + 4)].join("."));
      process.stderr.write(`got ${from} > ${to} ${payload.length} ${rest.readUInt16BE(6)}\n`);
    }
    rest = rest.subarray(end);
  }
});
process.stdin.on("end", () => {
  process.stderr.write("end of input\n");
  if (!words.has("stay")) process.exit(1);
});
