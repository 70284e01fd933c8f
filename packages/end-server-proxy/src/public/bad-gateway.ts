import type { ByteStream } from "@culvert/runtime";

/** Answers whatever HTTP request a stream begins with: the local service is not there. Ends the stream; bytes still coming are dropped. */
export function answerBadGateway(stream: ByteStream, name: string, where: string): void {
  const body = badGatewayPage(name, where);
  stream.resume();
  stream.end(
    [
      "HTTP/1.1 502 Bad Gateway",
      "Content-Type: text/html; charset=utf-8",
      `Content-Length: ${Buffer.byteLength(body)}`,
      "Cache-Control: no-store",
      "Connection: close",
      "",
      body,
    ].join("\r\n"),
  );
}

/** The page that says which local service was asked for, and that it does not answer. */
export function badGatewayPage(name: string, where: string): string {
  const [safeName, safeWhere] = [name, where].map(escapeHtml);
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>502: nothing answers at ${safeWhere}</title>
<h1>Nothing answers at ${safeWhere}</h1>
<p>${safeName} leads here, but the local service cannot be reached. Start it, and reload this page.</p>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
