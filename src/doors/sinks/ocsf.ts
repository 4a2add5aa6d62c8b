import { isIP } from 'node:net';
import { gravityOf, titleOf } from './event-words.ts';
import { placeOf, type Place } from './ocsf-classes.ts';
import type { LineContext, OpenedEntry } from './opened-entry.ts';

/** The published version of the schema that events are made for. */
export const ocsfVersion = '1.8.0';

type Fields = Readonly<Record<string, unknown>>;

/** Informational, low, medium. */
const severities = { usual: 1, notable: 2, grave: 3 } as const;
const categoryOf: Readonly<Record<Place['classUid'], number>> = { 0: 0, 3001: 3, 3002: 3, 3004: 3, 6002: 6 };

/**
 * One event of OCSF in one line. What the schema has no place for is in `raw_data`, the entry as it was hashed, and in
 * `unmapped`: the leaf hash, personal values that may leave, and which of them are erased.
 */
export function ocsf(entry: OpenedEntry, context: LineContext): string {
  const place = placeOf(entry);
  const { classUid, activityId, activityName } = place;
  const isSuccess = entry.outcome === 'success';
  return JSON.stringify({
    metadata: metadata(entry, context),
    time: Date.parse(entry.time),
    category_uid: categoryOf[classUid],
    class_uid: classUid,
    activity_id: activityId,
    activity_name: activityName,
    type_uid: classUid * 100 + activityId,
    severity_id: severities[gravityOf(entry.outcome)],
    status_id: isSuccess ? 1 : 2,
    status: isSuccess ? 'Success' : 'Failure',
    status_code: entry.text('reason_code'),
    status_detail: entry.outcome,
    message: titleOf(entry.type),
    ...ofClass(entry, place, context),
    raw_data: entry.json,
    unmapped: {
      leaf_hash: entry.leafHash,
      personal: nonEmpty(entry.personalValues),
      erased: entry.erased.length === 0 ? undefined : entry.erased,
      altered: entry.altered.length === 0 ? undefined : entry.altered,
    },
  });
}

function metadata(entry: OpenedEntry, { origin, version }: LineContext): Fields {
  return {
    version: ocsfVersion,
    product: product(version),
    uid: entry.id,
    sequence: Number(entry.index),
    event_code: entry.type,
    log_name: origin,
    log_version: entry.text('v'),
    original_time: entry.time,
    correlation_uid: entry.text('corr', 'request'),
  };
}

function product(version: string): Fields {
  return { name: 'Sallyport', vendor_name: 'Sallyport', version };
}

function actor(entry: OpenedEntry): Fields | undefined {
  const uid = entry.text('actor', 'uid');
  const session = entry.text('actor', 'session');
  if (uid !== undefined) {
    return {
      user: user(uid, entry.personal('actor.name')),
      session: session === undefined ? undefined : { uid: session },
    };
  }
  const kind = entry.text('actor', 'kind');
  return kind === 'broker' || kind === 'operator' ? { app_name: 'Sallyport', invoked_by: kind } : undefined;
}

/** A person by their immutable id, whose first part is the directory. */
function user(uid: string | undefined, name: string | undefined): Fields {
  if (uid === undefined && name === undefined) return { uid: 'unknown', type_id: 0 };
  const colon = uid?.indexOf(':') ?? -1;
  return { uid, name, domain: colon > 0 ? uid?.slice(0, colon) : undefined, type_id: 1 };
}

function ofClass(entry: OpenedEntry, { classUid }: Place, { version }: LineContext): Fields {
  const subject = user(entry.text('subject', 'uid'), entry.personal('subject.name'));
  switch (classUid) {
    case 0:
      return {};
    case 3001:
      return { ...origin(entry), user: subject };
    case 3002:
      return {
        ...origin(entry),
        user: subject,
        service: { name: 'Sallyport' },
        session:
          entry.text('actor', 'session') === undefined ? undefined : { uid: entry.text('actor', 'session') },
      };
    case 3004:
      return { ...origin(entry), entity: entity(entry), comment: entry.personal('reason') };
    case 6002:
      return { app: product(version) };
  }
}

/** Who asked, and from where as far as that may leave. In other classes an actor belongs to the profile `host`. */
function origin(entry: OpenedEntry): Fields {
  const [ip, userAgent] = [entry.personal('src.ip'), entry.personal('src.ua')];
  return {
    actor: actor(entry),
    src_endpoint: ip === undefined || isIP(ip) === 0 ? undefined : { ip },
    http_request: userAgent === undefined ? undefined : { user_agent: userAgent },
  };
}

/** What it was done to: a certificate, a list, the policy, the log. */
function entity(entry: OpenedEntry): Fields {
  const { text, type } = entry;
  const serial = text('cred', 'serial') ?? text('cred', 'serial_first');
  if (type.startsWith('cred.') && text('cred', 'kind') !== undefined)
    return {
      type: 'certificate',
      type_id: 99,
      uid: serial,
      name: text('cred', 'key_id') ?? text('cred', 'kind'),
      data: entry.value('cred'),
    };
  if (type === 'cred.void')
    return { type: 'serials', type_id: 99, uid: serial, name: `${serial} to ${text('cred', 'serial_last')}` };
  if (type === 'policy.change')
    return { type: 'Policy', type_id: 5, name: 'policy', version: text('change', 'after') };
  if (type === 'krl.publish')
    return { type: 'revocation list', type_id: 99, name: 'krl', version: text('artifact', 'version') };
  if (type === 'crl.publish')
    return { type: 'revocation list', type_id: 99, name: 'crl', version: text('artifact', 'version') };
  if (type === 'tls.authority')
    return {
      type: 'authority',
      type_id: 99,
      name: text('authority', 'name'),
      uid: text('authority', 'ca_fp'),
    };
  if (type === 'ocsp.signer')
    return { type: 'certificate', type_id: 99, name: 'ocsp-signer', uid: text('ocsp', 'serial') };
  if (type === 'ca.create')
    return { type: 'authority', type_id: 99, name: 'ssh-user-ca', uid: text('ca', 'ssh_user_ca_fp') };
  const kind = text('target', 'kind') ?? (type.startsWith('log.') ? 'log' : 'unknown');
  return { type: kind, type_id: 99, name: text('target', 'value') ?? kind };
}

function nonEmpty(fields: Fields): Fields | undefined {
  return Object.keys(fields).length === 0 ? undefined : fields;
}
