import { expect, test } from "vitest";
import { bufferWarning } from "./udp-buffers.ts";

const MiB = 1024 * 1024;

test("Linux reports double what it grants", () => {
  const grant = { asked: 4 * MiB, receive: 8 * MiB, send: 8 * MiB, platform: "linux" };
  expect(bufferWarning(grant)).toBeUndefined();
  const warning = bufferWarning({ ...grant, receive: 425_984 });
  expect(warning).toMatchObject({
    code: "udp_buffer_small",
    data: { askedBytes: 4 * MiB, receiveBytes: 212_992, sendBytes: 4 * MiB },
  });
  expect(warning?.text).toContain("net.core.rmem_max=4194304");
});

test("macOS has another knob", () => {
  const grant = { asked: 4 * MiB, receive: MiB, send: MiB, platform: "darwin" };
  expect(bufferWarning(grant)?.text).toContain("kern.ipc.maxsockbuf");
  expect(bufferWarning({ ...grant, receive: 4 * MiB, send: 4 * MiB })).toBeUndefined();
});
