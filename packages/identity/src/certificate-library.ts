// The polyfill must be in place before the library loads.
import "reflect-metadata";

/** The part of the certificate library that is used; a module of its own, for it is large and loaded late. */
export { Extension, PemConverter, X509CertificateGenerator } from "@peculiar/x509";
