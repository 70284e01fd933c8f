/** The first byte of every frame. */
export const frameMagic = 0x42;

/** Magic, length, type and reserved. */
export const frameHeaderBytes = 8;

/** The part of the header that the length counts: type and reserved. */
export const countedHeaderBytes = 4;

/** The longest payload the three bytes of the length can say. */
export const maxFramePayloadBytes = 0xff_ff_ff - countedHeaderBytes;
