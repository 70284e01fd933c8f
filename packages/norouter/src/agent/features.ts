/** What a manager is told that an agent can do, in the order of NoRouter's own. */
export const agentFeatures: readonly string[] = [
  "loopback",
  "tcp",
  "http",
  "loopback.disable",
  "socks",
  "hostaliases",
  "etchosts",
  "routes",
  "dns",
];

/**
 * The version of NoRouter whose behaviour the agent has. A manager compares it with its own and warns of a difference, so it is the
 * last release and not ours.
 */
export const agentVersion = "0.6.5";
