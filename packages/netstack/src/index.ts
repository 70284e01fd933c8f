export { formatEndpoint, type Endpoint } from "./endpoint.ts";
