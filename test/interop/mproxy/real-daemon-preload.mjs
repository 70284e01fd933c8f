// Loaded before the real Telebit daemon. At its start the daemon downloads code and runs it: here nothing is fetched but from
// this machine.
import { EventEmitter } from "node:events";
import https from "node:https";
import { setImmediate } from "node:timers";
import "./mend-first-chunk.mjs";

for (const word of ["get", "request"]) {
  const real = https[word];
  https[word] = function guarded(target, ...rest) {
    const host =
      typeof target === "string" ? new URL(target).hostname : (target.hostname ?? target.host);
    if (/^(localhost|127\.0\.0\.1)(:|$)/.test(host)) return real.call(https, target, ...rest);
    const request = new EventEmitter();
    for (const method of ["end", "write", "setTimeout", "abort", "destroy"])
      request[method] = () => request;
    setImmediate(() => request.emit("error", new Error(`not fetched in a test: ${host}`)));
    return request;
  };
}
