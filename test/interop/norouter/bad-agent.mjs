// bad-agent.mjs MODE agent --automated: answers configure as an agent does, then does what MODE says. It lives until its input ends.
import { Buffer } from "node:buffer";

const mode = process.argv[2];
/** The address of another host, and of a fourth that nobody has. */
const [other, target] = [
  [127, 0, 42, 61],
  [127, 0, 42, 62],
];

const deeds = {
  banner: () => process.stdout.write("Welcome to this machine\n"),
  short: () => send(1, Buffer.alloc(10, 0x45)),
  foreign: () => send(1, packet(other, target)),
  nowhere: (me) => send(1, packet(me, [127, 0, 42, 99])),
  huge: () => process.stdout.write(Buffer.from([0x42, 0xff, 0xff, 0xff, 0, 1, 0, 0])),
  nonsense: () =>
    send(2, Buffer.from('{"type":"event","body":{"type":"routeSuggestion","data":{"ip":7}}}')),
  suggestion: () =>
    send(
      2,
      Buffer.from(
        '{"type":"event","body":{"type":"routeSuggestion","data":{"ip":["127.0.42.61"],"route":"127.0.42.62"}}}',
      ),
    ),
  dies: () => process.exit(3),
};

process.stdin.once("data", (chunk) => {
  const { id, args } = JSON.parse(chunk.subarray(8).toString()).body;
  const features = [
    "loopback",
    "tcp",
    "http",
    "loopback.disable",
    "socks",
    "hostaliases",
    "etchosts",
    "routes",
    "dns",
  ];
  const data = { features, version: "0.6.5" };
  send(
    2,
    Buffer.from(
      JSON.stringify({ type: "result", body: { request_id: id, op: "configure", data } }),
    ),
  );
  deeds[mode](args.me.split(".").map(Number));
  process.stdin.resume().on("end", () => process.exit(0));
});

function send(type, payload) {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(payload.length + 4);
  header.writeUInt8(0x42);
  header.writeUInt16BE(type, 4);
  process.stdout.write(Buffer.concat([header, payload]));
}

/** An IPv4 header that says so and no more. */
function packet(source, destination) {
  return Buffer.from([0x45, 0, 0, 20, 0, 0, 0, 0, 64, 6, 0, 0, ...source, ...destination]);
}
