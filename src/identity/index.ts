/**
 * identity: proof of who somebody is: directories (LDAP, Active Directory, built-in) behind one interface, the choice among
 * them, login throttling, sessions, and proof of possession of the client's key.
 *
 * It never decides what a person may do, never stores or logs a password or a token, never takes an outage for a refusal, and
 * knows nothing of HTTP or of storage: rows and sessions are values that the broker keeps. It is the only door to ldapts and jose.
 * Specifications: RFC 4511-4519 (LDAP), RFC 7914 (scrypt), RFC 9449 (DPoP), RFC 7638 (thumbprints).
 */
export * from './active-directory/index.ts';
export * from './built-in/index.ts';
export * from './dpop.ts';
export * from './ldap/index.ts';
export * from './nonces.ts';
export * from './person.ts';
export * from './refusal.ts';
export * from './registry.ts';
export * from './session.ts';
export * from './shared-throttle.ts';
export * from './throttle.ts';
export * from './watch.ts';
