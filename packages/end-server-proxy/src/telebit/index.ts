export { DeviceChannel, type DeviceEffect, type TelebitGrant } from "./device-channel.ts";
export { TelebitMetrics } from "./metrics.ts";
export { dialTelebit, type TelebitDialOptions } from "./telebit-dial.ts";
export {
  endpointOf,
  endpointUrl,
  type TelebitEndpoint,
  type TelebitRelayPlace,
} from "./discovery.ts";
export {
  TelebitDevice,
  type TelebitDeviceDeps,
  type TelebitDeviceOptions,
  type TelebitStatus,
} from "./telebit-device.ts";
