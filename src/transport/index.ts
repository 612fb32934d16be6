/** The door of the network between peers. */
export { TransportError, type TransportErrorCode } from './errors.ts';
export { generateIdentity } from './identity.ts';
export { createTransport, type TransportOptions } from './transport.ts';
export type * from './types.ts';
