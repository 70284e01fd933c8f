import { expect, test } from "vitest";
import { largestDatagramBytes, quicDefaults } from "../settings.ts";
import { congestionControlFor } from "./transport-config.ts";

const onMachine = { ...quicDefaults, datagramBytes: largestDatagramBytes };
const onEthernet = { ...quicDefaults, datagramBytes: 1350 };

test.each([
  { where: "one machine, large buffers", settings: onMachine, large: true, control: "cubic" },
  { where: "one machine, small buffers", settings: onMachine, large: false, control: "bbr" },
  { where: "a network, large buffers", settings: onEthernet, large: true, control: "bbr" },
  { where: "a network, small buffers", settings: onEthernet, large: false, control: "bbr" },
])("$where: $control", ({ settings, large, control }) => {
  expect(congestionControlFor(settings, large)).toBe(control);
});
