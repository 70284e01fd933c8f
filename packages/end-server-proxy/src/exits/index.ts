export {
  AllowList,
  type AllowRule,
  type PortRange,
  type Resolution,
  type ServiceTarget,
} from "./allow-list.ts";
export { dialService } from "./dial-service.ts";
export { dialTcp, type DialTcpOptions } from "./dial-tcp.ts";
export { dialUnix, type DialUnixOptions } from "./dial-unix.ts";
export { dialError, type DialLimits } from "./dial.ts";
export { ExitError, type Exit } from "./exit.ts";
export { LocalExit, type LocalExitDeps, type LocalExitOptions } from "./local-exit.ts";
