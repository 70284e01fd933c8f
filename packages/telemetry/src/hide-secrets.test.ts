import { expect, test } from "vitest";
import { hideSecrets } from "./hide-secrets.ts";

test("values of secret names are replaced in objects and arrays, three levels deep", () => {
  const fields = {
    token: "s1",
    peers: [{ name: "a", password: "s2" }],
    proxy: { user: { secret: "s3", name: "b" } },
  };
  expect(hideSecrets(fields)).toEqual({
    token: "[redacted]",
    peers: [{ name: "a", password: "[redacted]" }],
    proxy: { user: { secret: "[redacted]", name: "b" } },
  });
  expect(fields.token).toBe("s1");
  expect(fields.peers[0]?.password).toBe("s2");
});

test("fields without secrets are not copied", () => {
  const fields = { client: "laptop", deep: { list: [1, 2] }, nothing: null };
  expect(hideSecrets(fields)).toBe(fields);
});

test("bytes and what makes its own JSON are left as they are, and a ring ends", () => {
  const ring: Record<string, unknown> = { bytes: new Uint8Array(3), at: new Date(0) };
  ring["self"] = ring;
  expect(hideSecrets(ring)).toBe(ring);
});
