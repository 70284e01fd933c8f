import type { ConfigureArgs } from "@culvert/wire";

/**
 * The first port that leads back to itself, straight or by way of other ports: one connection to it would take all that there may be.
 * Where we have no listeners at our virtual address, what listens there is somebody else.
 */
export function forwardLoop({
  me,
  forwards,
  loopback,
}: Pick<ConfigureArgs, "me" | "forwards" | "loopback">): number | undefined {
  if (loopback.disable) return undefined;
  const next = new Map(
    forwards
      .filter(({ connectIp }) => connectIp === me)
      .map(({ listenPort, connectPort }) => [listenPort, connectPort]),
  );
  const walked = new Set<number>();
  for (const start of next.keys()) {
    const way = new Set<number>();
    for (let port: number | undefined = start; port !== undefined; port = next.get(port)) {
      if (way.has(port)) return port;
      if (walked.has(port)) break;
      way.add(port);
      walked.add(port);
    }
  }
  return undefined;
}
