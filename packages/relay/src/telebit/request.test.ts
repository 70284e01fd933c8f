import { describe, expect, it } from "vitest";
import type { PageRequest } from "../web/upgrade-handler.ts";
import { discoveryPages } from "./discovery-document.ts";
import { tokenOfRequest } from "./request-token.ts";

describe("a token that comes with the request", () => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

  it.each<[string, string | undefined, string | undefined]>([
    ["/?access_token=a.b.c", undefined, "a.b.c"],
    ["/?versions=v1&access_token=a.b.c", undefined, "a.b.c"],
    ["/", basic("x:a.b.c"), "a.b.c"],
    ["/", basic("x:a:b"), "a:b"],
    ["/", "bearer a.b.c", "a.b.c"],
    ["/", "Bearer  a.b.c", "a.b.c"],
    ["/?access_token=q", "Bearer h", "h"],
    ["/?access_token=q", basic("no colon"), "q"],
    ["/?access_token=q", "Digest h", "q"],
    ["/", basic("x:"), undefined],
    ["/", "Bearer", undefined],
    ["/?access_token=", undefined, undefined],
    ["/", undefined, undefined],
  ])("is found in %s with %s", (url, authorization, token) => {
    const headers = authorization === undefined ? {} : { authorization };
    expect(tokenOfRequest({ url, headers })).toBe(token);
  });
});

describe("the discovery document", () => {
  const ask = (over: Partial<PageRequest>): unknown => {
    const page = discoveryPages()({
      method: "GET",
      url: "/_apis/telebit.cloud/index.json",
      headers: { host: "relay.example.com" },
      socket: { localPort: 8443 },
      ...over,
    });
    return page && { ...page, body: JSON.parse(page.body) as unknown };
  };
  const found = (apiHost: string): unknown => ({
    status: 200,
    contentType: "application/json",
    body: { api_host: apiHost, tunnel: { method: "wss", pathname: "" } },
  });

  it("has both of its places, and leaves all others alone", () => {
    expect(ask({})).toEqual(found(":hostname"));
    expect(ask({ url: "/.well-known/telebit.app/index.json?x=1" })).toEqual(found(":hostname"));
    expect(ask({ url: "/" })).toBeUndefined();
    expect(ask({ url: undefined })).toBeUndefined();
    expect(ask({ method: "POST" })).toMatchObject({ status: 405 });
  });

  it("offers no pairing by e-mail, so that clients ask their user for a token, and those that pair all the same are told", () => {
    expect(JSON.stringify(ask({}))).not.toContain("pair_request");
    for (const method of ["POST", "GET"]) {
      const answer = ask({ method, url: "/api/telebit.cloud/pair_request?x=1" });
      expect(answer).toMatchObject({
        status: 501,
        contentType: "application/json",
        body: { error: { code: "E_NO_PAIRING" } },
      });
      expect(JSON.stringify(answer)).toMatch(
        /no e-mail.*ask whoever runs it for a token.*culvert token/,
      );
    }
  });

  it("says the port where it is not 443, or real clients forget it", () => {
    expect(ask({ headers: { host: "relay.example.com:18443" } })).toEqual(found(":hostname:18443"));
    expect(ask({ headers: { host: "[2001:db8::1]:18443" } })).toEqual(found(":hostname:18443"));
    expect(ask({ headers: { host: "[2001:db8::1]" } })).toEqual(found(":hostname"));
    expect(ask({ headers: { host: "relay.example.com:443" } })).toEqual(found(":hostname"));
    expect(ask({ headers: {} })).toEqual(found(":hostname:8443"));
  });
});
