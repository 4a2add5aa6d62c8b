/** Object identifiers by the names that their specifications give them. */
export const oid = {
  commonName: '2.5.4.3',
  organizationName: '2.5.4.10',
  // RFC 5280 section 4.2
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  reasonCode: '2.5.29.21',
  deltaCrlIndicator: '2.5.29.27',
  issuingDistributionPoint: '2.5.29.28',
  nameConstraints: '2.5.29.30',
  crlDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  freshestCrl: '2.5.29.46',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
  ocspAccess: '1.3.6.1.5.5.7.48.1',
  caIssuersAccess: '1.3.6.1.5.5.7.48.2',
  // RFC 6960
  ocspBasic: '1.3.6.1.5.5.7.48.1.1',
  ocspNonce: '1.3.6.1.5.5.7.48.1.2',
  ocspNoCheck: '1.3.6.1.5.5.7.48.1.5',
  // Extended key usages
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ocspSigning: '1.3.6.1.5.5.7.3.9',
  /** Microsoft, “smart card logon”. */
  smartCardLogon: '1.3.6.1.4.1.311.20.2.2',
  /** RFC 4556 section 3.2.4 */
  pkinitClientAuth: '1.3.6.1.5.2.3.4',
  pkinitKdc: '1.3.6.1.5.2.3.5',
  pkinitSan: '1.3.6.1.5.2.2',
  /** Microsoft, user principal name in a SAN. */
  upn: '1.3.6.1.4.1.311.20.2.3',
  /** Microsoft, szOID_NTDS_CA_SECURITY_EXT (KB5014754). */
  sidExtension: '1.3.6.1.4.1.311.25.2',
  sidObject: '1.3.6.1.4.1.311.25.2.1',
  // Keys and signatures
  rsaEncryption: '1.2.840.113549.1.1.1',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  ecPublicKey: '1.2.840.10045.2.1',
  p256: '1.2.840.10045.3.1.7',
  p384: '1.3.132.0.34',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  extensionRequest: '1.2.840.113549.1.9.14',
  sha1: '1.3.14.3.2.26',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;
