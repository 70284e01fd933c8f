/** 192.0.0.8, the manager's: the source of those who have no address of their own (RFC 7600 §4.8). No host has it. */
export const managerAddress = 0xc0000008;
