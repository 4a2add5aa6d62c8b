/**
 * Namespace of the SSHSIG signature beside a published revocation list: a signature made for anything else never passes for
 * one over a list. Who signs the lists and who fetches them must say the same word (docs/flows/publish-krl.md).
 */
export const krlNamespace = 'sallyport-krl';
