export type { Exchange, PublicConnectionEnd, PublicObserver } from "./exchange.ts";
export {
  exposeLabel,
  formatServiceTarget,
  type CertificateFiles,
  type ExposeRule,
  type TlsEnd,
} from "./expose-rule.ts";
export { exposesOf, exposeStatuses, type ExposeStatus } from "./expose-status.ts";
export { ExposeTable } from "./expose-table.ts";
export { HttpView } from "./http-view.ts";
export { proxyHeader } from "./proxy-header.ts";
export { PublicDesk, type PublicArrival, type PublicDeskDeps } from "./public-desk.ts";
