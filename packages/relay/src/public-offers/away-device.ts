import { TransportError, type ByteStream } from "@culvert/runtime";
import type { PublicDevice } from "../web/public-device.ts";

/** Stands in a table for a server that has a name by configuration and serves it only while it is attached. */
export class AwayDevice implements PublicDevice {
  readonly name: string;
  readonly connected = false;

  constructor(name: string) {
    this.name = name;
  }

  open(): Promise<ByteStream> {
    return Promise.reject(new TransportError("no_session", `${this.name} is not attached`));
  }
}
