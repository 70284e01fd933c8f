/** An IPv4 address in its dotted form, and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** `127.0.42.101:8080`, for logs and errors. */
export function formatEndpoint({ address, port }: Endpoint): string {
  return `${address}:${port}`;
}
