export {
  encodeSocks4Reply,
  Socks4Decoder,
  Socks4Reply,
  type Socks4Request,
} from "./socks4-codec.ts";
export {
  encodeMethod,
  encodePasswordResult,
  encodeReply,
  Socks5Decoder,
  SocksCommand,
  SocksMethod,
  SocksReply,
  type SocksMessage,
  type SocksMethodCode,
} from "./socks5-codec.ts";
