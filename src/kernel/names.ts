/**
 * Namespace of the SSHSIG signature beside a published revocation list: a signature made for anything else never passes for
 * one over a list. Who signs the lists and who fetches them must say the same word (docs/flows/publish-krl.md).
 */
export const krlNamespace = 'sallyport-krl';

/** Namespace of what a host signs when it asks the broker for something (docs/formats/host-protocol.md). */
export const hostRequestNamespace = 'host-request@sallyport';

/** Namespace of the signature under a trust bundle; the key that makes it is pinned at enrolment (docs/formats/trust-bundle.md). */
export const trustBundleNamespace = 'trust-bundle@sallyport';
/** The same of a signed request to take a host off the net (docs/formats/quarantine-request.md). */
export const quarantineNamespace = 'quarantine-request@sallyport';
