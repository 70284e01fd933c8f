export {
  PublicGrants,
  type PublicGrantList,
  type PublicNameGrant,
  type PublicPortGrant,
} from "./public-grants.ts";
export { PublicOffers, type PublicOffersDeps, type PublicTables } from "./public-offers.ts";
export { publicOffer, ServerDevice, type ServerDeviceDeps } from "./server-device.ts";
