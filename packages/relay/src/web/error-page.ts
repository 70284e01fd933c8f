import type { Page } from "./upgrade-handler.ts";

/** What the relay itself says to a client of a public name. */
export type ErrorStatus = 400 | 404 | 405 | 408 | 421 | 431 | 502 | 503 | 504;

/** The page of an error: says what is wrong and who can mend it, and nothing of what the client sent. */
export function errorPage(status: ErrorStatus): Page {
  const [title, text] = texts[status];
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${status} ${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}</style>
<h1>${title}</h1>
<p>${text}</p>
<p><small>${status} · Culvert relay</small></p>
</html>
`;
  return { status, contentType: "text/html; charset=utf-8", body };
}

/** The reason phrase of an error, for a status line. */
export function errorTitle(status: ErrorStatus): string {
  return texts[status][0];
}

const texts: Record<ErrorStatus, readonly [title: string, text: string]> = {
  400: ["Bad request", "The request cannot be understood."],
  404: ["Unknown name", "No site of this name is served here. Check the address."],
  405: ["Method not allowed", "This relay forwards requests to sites; it is not a proxy."],
  408: ["Request time-out", "The request was not complete in time."],
  421: [
    "Misdirected request",
    "The request names another site than its connection does. A browser may try again on a new connection.",
  ],
  431: ["Request header too large", "The header of the request is larger than this relay accepts."],
  502: [
    "Not connected",
    "The site exists, but the machine that serves it is not connected right now, or its service does not answer.",
  ],
  503: ["Busy", "The site has no room for another connection right now. Try again soon."],
  504: ["No answer in time", "The machine that serves this site did not answer in time."],
};
