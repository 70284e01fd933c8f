export {
  formatControlMessage,
  parseControlMessage,
  type ControlMessage,
} from "./control-message.ts";
export { encodeFrameHeader, isFieldText } from "./encode-frame-header.ts";
export {
  formatByteCount,
  formatErrorBody,
  parseByteCount,
  parseErrorBody,
  type ConnectionError,
} from "./frame-bodies.ts";
export { MproxyDecoder, type MproxyDecoderLimits, type MproxyEvent } from "./mproxy-decoder.ts";
export {
  connectionKey,
  maxHeaderBytes,
  mproxyDefaults,
  noConnection,
  type ConnectionId,
  type MproxyFrame,
  type MproxyFrameKind,
} from "./mproxy-frame.ts";
