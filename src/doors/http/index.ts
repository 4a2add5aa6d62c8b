/**
 * doors/http: the JSON interface under /v1, health, metrics. It parses at the door, checks the permission that the route
 * table names, calls one flow of the broker, and writes the answer; it decides nothing else. The only door to express.
 * Specifications: RFC 9110, RFC 9457 (problem documents), RFC 9449 (DPoP), OpenAPI 3.1.
 */
export { allRoutes } from './app.ts';
export { createMetrics, type Metrics } from './metrics.ts';
export { openHttpDoor, type Deadlines, type HttpDoor, type HttpDoorOptions } from './server.ts';
export { openPkiDoor, type PkiDoor } from './pki.ts';
