// A web server for tests, in a process of its own: `node website.mjs PORT`. Its page loads 50 scripts and talks by WebSocket. It
// says on standard output when it listens, and what the hash of /download is.
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const port = Number(process.argv[2]);
const assets = 50;
const download = randomBytes(24 * 1024 * 1024);

const page = `<!doctype html><title>site</title>
<script>
window.loaded = new Set();
window.chat = new WebSocket("wss://" + location.host + "/chat");
window.chat.onopen = () => window.chat.send("hello");
window.chat.onmessage = ({ data }) => { window.said = data; };
</script>
${Array.from({ length: assets }, (_, at) => `<script src="/asset/${at}"></script>`).join("\n")}`;

const server = createServer(({ url = "" }, response) => {
  const asset = /^\/asset\/(\d+)$/.exec(url)?.[1];
  if (url === "/") {
    response.setHeader("content-type", "text/html");
    response.end(page);
  } else if (asset !== undefined) {
    response.setHeader("content-type", "text/javascript");
    response.end(`window.loaded.add(${asset});//${"x".repeat(100_000)}`);
  } else if (url === "/download") {
    response.end(download);
  } else {
    response.statusCode = 404;
    response.end();
  }
});
new WebSocketServer({ server }).on("connection", (socket) => {
  socket.on("message", (data) => socket.send(data, { binary: false }));
});
server.listen(port, "127.0.0.1", () => {
  const sha256 = createHash("sha256").update(download).digest("hex");
  process.stdout.write(`${JSON.stringify({ assets, bytes: download.length, sha256 })}\n`);
});
