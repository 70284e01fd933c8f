import { readFile, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { Child } from "./child.ts";
import { findProgram } from "./requires.ts";
import { waitUntil } from "./wait.ts";

/** What stands in for the placeholders of deploy/nginx/culvert-relay.conf. */
export interface NginxOptions {
  readonly folder: string;
  readonly port: number;
  readonly name: string;
  /** The relay's plain listener on 127.0.0.1. */
  readonly plainPort: number;
  readonly certFile: string;
  readonly keyFile: string;
}

/** Runs nginx with the site that is deployed, until the child is ended; ready when this resolves. */
export async function startNginx(options: NginxOptions): Promise<Child> {
  const { folder, port, name, plainPort, certFile, keyFile } = options;
  const deployed = await readFile(
    new URL("../../deploy/nginx/culvert-relay.conf", import.meta.url),
    "utf8",
  );
  const site = deployed
    .replace("listen 443 ssl", `listen 127.0.0.1:${port} ssl`)
    .replace("server_name relay.example.com", `server_name ${name}`)
    .replace("/etc/ssl/relay.example.com.pem", certFile)
    .replace("/etc/ssl/relay.example.com.key", keyFile)
    .replace("proxy_pass http://127.0.0.1:8080", `proxy_pass http://127.0.0.1:${plainPort}`);
  return runNginx({ folder, port }, site);
}

/** Runs nginx with one site until the child is ended; ready, at the port on 127.0.0.1, when this resolves. */
export async function runNginx(
  { folder, port }: Pick<NginxOptions, "folder" | "port">,
  site: string,
): Promise<Child> {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((what) => `${what}_temp_path ${join(folder, what)};`)
    .join("\n");
  const file = join(folder, "nginx.conf");
  await writeFile(
    file,
    `daemon off; master_process off; pid ${join(folder, "nginx.pid")}; error_log stderr warn;
     events { worker_connections 256; }
     http { access_log off; ${temporary} ${site} }`,
  );
  const child = new Child(findProgram("nginx") ?? "nginx", ["-p", folder, "-c", file]);
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => (said += String(bytes)));
  await waitUntil("nginx listens", async () => {
    if (!child.running) throw new Error(`nginx ended: ${said}`);
    return isListening(port);
  });
  return child;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.once("connect", () => resolve(true));
    socket.once("error", () => resolve(false));
    socket.once("close", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
