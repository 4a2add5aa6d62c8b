import type { DirectoryEntry } from '../ldap/entry.ts';
import { anyEntry, anyOf, equals } from '../ldap/filter.ts';
import type { Fleet } from '../ldap/fleet.ts';
import type { Group } from '../person.ts';
import { sidToText } from './identifiers.ts';

/** SIDs resolved in one search; a domain controller returns at most 1,000 entries a page. */
const sidsPerSearch = 100;

/**
 * Every security group of a person, nested ones and the primary group included: the SIDs from `tokenGroups`, which the domain
 * controller computes in one base search, then their DNs, a hundred to a search. The other way, a search with
 * LDAP_MATCHING_RULE_IN_CHAIN, leaves out the primary group, lets distribution groups grant rights, and does not end in time
 * in forests with hundreds of thousands of groups. SIDs of other domains stay without a DN.
 * @throws CodedError `identity.directory_unavailable` when the service account may not read tokenGroups: every account has at
 * least its primary group, so an empty answer is a fault, never “no groups”.
 */
export async function tokenGroups(
  entry: DirectoryEntry,
  domainBaseDn: string,
  fleet: Fleet,
): Promise<readonly Group[]> {
  const [account] = await fleet.search({
    baseDn: entry.dn,
    scope: 'base',
    filter: anyEntry,
    attributes: ['tokenGroups'],
    binaryAttributes: ['tokenGroups'],
  });
  const sids = new Map<string, Buffer>();
  for (const bytes of account?.bytes('tokenGroups') ?? []) {
    const text = sidToText(bytes);
    if (text !== undefined) sids.set(text, bytes);
  }
  if (sids.size === 0)
    throw fleet.unavailable(
      'the service account cannot read tokenGroups (make it a member of “Windows Authorization Access Group”)',
    );
  const dns = await resolveSids([...sids.values()], domainBaseDn, fleet);
  return [...sids.keys()].map((sid) => {
    const dn = dns.get(sid);
    return { sid, ...(dn === undefined ? {} : { dn }) };
  });
}

async function resolveSids(
  sids: readonly Buffer[],
  baseDn: string,
  fleet: Fleet,
): Promise<ReadonlyMap<string, string>> {
  const dns = new Map<string, string>();
  for (let start = 0; start < sids.length; start += sidsPerSearch) {
    const entries = await fleet.search({
      baseDn,
      scope: 'sub',
      filter: anyOf(sids.slice(start, start + sidsPerSearch).map((sid) => equals('objectSid', sid))),
      attributes: ['objectSid'],
      binaryAttributes: ['objectSid'],
    });
    for (const entry of entries) {
      const [bytes] = entry.bytes('objectSid');
      const sid = bytes && sidToText(bytes);
      if (sid !== undefined) dns.set(sid, entry.dn);
    }
  }
  return dns;
}
