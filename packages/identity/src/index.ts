export { createCertificate, type TlsCertificate } from "./certificate.ts";
export { generateIdentity, identityOfPrivateKey, type Identity } from "./identity.ts";
export { loadIdentityFile, writeIdentityFile } from "./identity-file.ts";
export { parsePeerId, peerIdOfPublicKey, type PeerId } from "./peer-id.ts";
export { readPrivateFile, writePrivateFile } from "./private-file.ts";
export { privateKeyToProtobuf } from "./private-key-protobuf.ts";
export { publicKeyOfPeerId } from "./public-key-of-peer-id.ts";
export {
  signStatement,
  verifyStatement,
  type DomainLabel,
  type Statement,
} from "./signed-statement.ts";
export { verifyPeerCertificate } from "./verify-certificate.ts";
