export { Capability } from "./capability.ts";
export { tipDefaults } from "./defaults.ts";
export { encodedTipLength, encodeTip, tipVersion } from "./encode-tip.ts";
export {
  decodeForward,
  decodeForwardAnswer,
  encodeForward,
  encodeForwardAnswer,
} from "./forward.ts";
export { hostOf, hostOfAuthority, type Host } from "./http/host.ts";
export { isOriginClaim } from "./http/origin-claim.ts";
export {
  RequestHeadReader,
  type RequestHead,
  type RequestHeadLimits,
} from "./http/request-head.ts";
export { canonicalIpv6, isIpv4 } from "./ip-address.ts";
export { parseName } from "./name.ts";
export { coversPublicName, parsePublicName } from "./public-name.ts";
export { quoteText } from "./quote-text.ts";
export { Status, statusName, statusOfError, type StatusCode } from "./status.ts";
export { formatTarget, parseTarget, type Target } from "./target.ts";
export type {
  Answer,
  Attach,
  AttachAnswer,
  Connect,
  Expose,
  ExposeAnswer,
  Forward,
  ForwardAnswer,
  Offer,
  PublicOffer,
  Tip,
} from "./tip.ts";
export { TipDecoder, type DecodedTip, type TipDecoderLimits } from "./tip-decoder.ts";
export * from "./mproxy/index.ts";
export * from "./norouter/index.ts";
export * from "./socks/index.ts";
export { ClientHelloReader, type ClientHello, type ClientHelloLimits } from "./tls/client-hello.ts";
