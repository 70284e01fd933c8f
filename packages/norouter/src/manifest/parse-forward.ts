import type { NorouterForward } from "@culvert/wire";
import { isMachineName } from "./machine-name.ts";
import { dnsPort } from "./manifest.ts";

/** Reads `LISTEN:CONNECT:PORT[/tcp]`, such as `8080:127.0.0.1:80`; where it is none, the answer is what is wrong with it. */
export function parseForward(text: string): NorouterForward | string {
  const [ports = "", proto = "tcp", ...more] = text.split("/");
  if (proto !== "tcp" || more.length > 0) {
    return `${JSON.stringify(text)}: only tcp can be forwarded, not ${[proto, ...more].join("/")}`;
  }
  const [listen, connectIp, connect, ...rest] = ports.split(":");
  if (listen === undefined || connectIp === undefined || connect === undefined || rest.length > 0) {
    return `${JSON.stringify(text)} must be LISTEN:CONNECT:PORT, such as 8080:127.0.0.1:80`;
  }
  const listenPort = parsePort(listen);
  const connectPort = parsePort(connect);
  if (listenPort === undefined || connectPort === undefined) {
    const wrong = listenPort === undefined ? listen : connect;
    return `${JSON.stringify(text)}: ${JSON.stringify(wrong)} must be a port from 1 to 65535`;
  }
  if (listenPort === dnsPort) {
    return `${JSON.stringify(text)}: port ${dnsPort} of every virtual address is the DNS of the agent`;
  }
  if (!isMachineName(connectIp)) {
    return `${JSON.stringify(text)}: ${JSON.stringify(connectIp)} must be an IPv4 address or a name`;
  }
  return { listenPort, connectIp, connectPort, proto };
}

/** A port from 1 to 65535; undefined where the text is none. */
function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}
