export {
  configureOp,
  configureRequest,
  configureResult,
  errorResult,
  parseConfigureArgs,
  parseConfigureResult,
  type NorouterPort,
  type ConfigureArgs,
  type ConfigureResult,
  type NorouterForward,
  type NorouterRoute,
} from "./configure.ts";
export { encodedFrameLength, encodeFrame, encodeNorouterHeader } from "./encode-frame.ts";
export { frameType, norouterDefaults, type NorouterFrame } from "./frame.ts";
export { FrameDecoder, type FrameDecoderLimits } from "./frame-decoder.ts";
export {
  parseMessage,
  resultErrorText,
  serializeMessage,
  type NorouterEvent,
  type NorouterMessage,
  type NorouterRequest,
  type NorouterResult,
} from "./message.ts";
export {
  parseRouteSuggestion,
  routeSuggestionEvent,
  routeSuggestionType,
  type RouteSuggestion,
} from "./route-suggestion.ts";
