import fc from "fast-check";
import { expect, it } from "vitest";
import { requestFields, responseFields } from "./forwarded-headers.ts";

const forwarded = { address: "192.0.2.7", proto: "https", host: "app.example.com" } as const;

it("fields of a hop are left out, those that Connection names too, and the rest goes on in its order", () => {
  const raw = [
    ...["Host", "app.example.com", "Accept", "text/html", "Connection", "close, X-Mine , upgrade"],
    ...["X-Mine", "1", "Keep-Alive", "1", "TE", "trailers", "Transfer-Encoding", "chunked"],
    ...["Upgrade", "h2c", "HTTP2-Settings", "x", "Proxy-Authorization", "x", "Content-Length", "5"],
    ...["Expect", "100-continue", "X-Yours", "2", "x-yours", "3", "__proto__", "4"],
  ];
  const fields = requestFields(raw, forwarded);
  expect(Object.entries(fields)).toEqual([
    ["accept", "text/html"],
    ["x-yours", ["2", "3"]],
    ["__proto__", "4"],
    ["host", "app.example.com"],
    ["x-forwarded-for", "192.0.2.7"],
    ["x-forwarded-proto", "https"],
    ["x-forwarded-host", "app.example.com"],
  ]);
});

it("nothing a client says of itself survives, however it is written", () => {
  const spelling = fc
    .constantFrom(
      ...["x-forwarded-for", "x-forwarded-anything", "x-forwarded", "forwarded", "x-real-ip"],
      ...["cf-connecting-ip", "true-client-ip", "proxy", "content-length", "transfer-encoding"],
    )
    .chain((name) =>
      fc.array(fc.nat(2), { minLength: name.length, maxLength: name.length }).map((how) =>
        Array.from(name)
          .map((letter, index) =>
            how[index] === 1
              ? letter.toUpperCase()
              : how[index] === 2 && letter === "-"
                ? "_"
                : letter,
          )
          .join(""),
      ),
    );
  fc.assert(
    fc.property(spelling, (name) => {
      expect(JSON.stringify(requestFields([name, "6.6.6.6"], forwarded))).not.toContain("6.6.6.6");
    }),
  );
});

it("cookies of HTTP/2 come together, and pseudo-fields stay behind", () => {
  const fields = requestFields([":method", "GET", "cookie", "a=1", "cookie", "b=2"], forwarded);
  expect(fields["cookie"]).toBe("a=1; b=2");
  expect(Object.keys(fields)).not.toContain(":method");
});

it("an answer keeps its length and every cookie, and loses what was for the hop", () => {
  const raw = [
    ...["Content-Length", "5", "Content-Length", "5", "Set-Cookie", "a=1", "Set-Cookie", "b=2"],
    ...["Connection", "keep-alive", "Keep-Alive", "timeout=5", "Transfer-Encoding", "chunked"],
  ];
  expect({ ...responseFields(raw) }).toEqual({
    "content-length": "5",
    "set-cookie": ["a=1", "b=2"],
  });
});
