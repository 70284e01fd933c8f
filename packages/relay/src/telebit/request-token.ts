import type { IncomingMessage } from "node:http";

/**
 * The token a WebSocket request brings along: `Authorization: Basic` (the password) or `Bearer`, else `?access_token=`; undefined
 * where there is none. What it is worth is not looked at here.
 */
export function tokenOfRequest(
  request: Pick<IncomingMessage, "url" | "headers">,
): string | undefined {
  const [scheme = "", value = ""] = (request.headers.authorization ?? "").trim().split(/ +/, 2);
  if (/^bearer$/i.test(scheme) && value !== "") return value;
  if (/^basic$/i.test(scheme)) {
    const text = Buffer.from(value, "base64").toString("latin1");
    const colon = text.indexOf(":");
    if (colon >= 0 && colon < text.length - 1) return text.slice(colon + 1);
  }
  const query = /\?(.*)$/s.exec(request.url ?? "")?.[1] ?? "";
  const token = new URLSearchParams(query).get("access_token");
  return token === null || token === "" ? undefined : token;
}
