export { canonicalName, globMatches } from "./router/hostname-glob.ts";
export {
  formatIpv4,
  formatNetwork,
  networkHas,
  parseIpv4,
  parseNetwork,
  type Ipv4Network,
} from "./router/ipv4.ts";
export { Router, type RouterOptions } from "./router/router.ts";
export {
  egressDefaults,
  FrameWriter,
  type EgressLimits,
  type EgressStats,
} from "./egress/frame-writer.ts";
