import { formatByteSize } from "@culvert/runtime";
import type { EngineWarning } from "../engine.ts";

/** What was asked of the kernel and what it gave, as this platform reports it; bytes. */
export interface BufferGrant {
  readonly asked: number;
  readonly receive: number;
  readonly send: number;
  /** `process.platform`. */
  readonly platform: string;
}

/** The warning that an operator should read if UDP buffers are smaller than asked; undefined if they are not. */
export function bufferWarning(grant: BufferGrant): EngineWarning | undefined {
  const { asked, platform } = grant;
  // Linux counts its own bookkeeping too, and reports double.
  const factor = platform === "linux" ? 2 : 1;
  const receive = Math.floor(grant.receive / factor);
  const send = Math.floor(grant.send / factor);
  if (receive >= asked && send >= asked) return undefined;
  const remedy =
    platform === "linux"
      ? `; set net.core.rmem_max and net.core.wmem_max to ${asked} (sysctl -w net.core.rmem_max=${asked})`
      : platform === "darwin" || platform === "freebsd"
        ? `; raise kern.ipc.maxsockbuf (sysctl -w kern.ipc.maxsockbuf=${2 * asked})`
        : "";
  return {
    code: "udp_buffer_small",
    text:
      `the kernel gives UDP sockets ${formatByteSize(receive)} to receive and ${formatByteSize(send)} to send` +
      ` instead of ${formatByteSize(asked)}, which loses datagrams at high speed${remedy}`,
    data: { askedBytes: asked, receiveBytes: receive, sendBytes: send },
  };
}
