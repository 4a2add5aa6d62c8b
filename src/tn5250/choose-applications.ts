import { CodedError, printable } from '../kernel/index.ts';
import { type Application, applications, findApplication } from './catalogue.ts';

const wordsOf = (restart: Application['restart']): readonly string[] =>
  applications.filter((application) => application.restart === restart).map(({ word }) => word);

/** Names that stand for several applications. */
export const groups: ReadonlyMap<string, readonly string[]> = new Map([
  ['hostservers', wordsOf('hostservers')],
  ['5250', ['telnet', 'central', 'rmtcmd', 'signon']],
]);

/**
 * Reads a list such as `telnet,hostservers` or of application ids: each application once, in the order of the catalogue.
 * @throws CodedError `tn5250.unknown_application`; `tn5250.no_application` for an empty list
 */
export function listApplications(text: string): readonly Application[] {
  const names = text.split(',').map((name) => name.trim());
  if (text.trim() === '' || names.length > 64)
    throw new CodedError('tn5250.no_application', 'No application is named.', {
      next: 'Name one to 64, separated by commas, e.g. telnet,hostservers.',
    });
  const chosen = new Set(
    names.flatMap((name) => groups.get(name.toLowerCase()) ?? [name]).map((name) => loadApplication(name)),
  );
  return applications.filter((application) => chosen.has(application));
}

/**
 * The applications that a certificate is to be assigned to: servers, of which id and restart are known.
 * @throws CodedError as `listApplications`; `tn5250.cannot_plan` for one of which too little is known
 */
export function chooseApplications(text: string): readonly Application[] {
  const chosen = listApplications(text);
  const unknown = chosen.find(({ id, restart }) => id === undefined || restart === undefined);
  if (unknown !== undefined) {
    throw new CodedError(
      'tn5250.cannot_plan',
      `Too little is known of “${unknown.word}” (${unknown.serves}) to plan for it.`,
      {
        next: 'Leave it out, and assign the certificate to it by hand in DCM.',
        details: { application: unknown.word },
      },
    );
  }
  return chosen;
}

function loadApplication(name: string): Application {
  const found = findApplication(name);
  if (found !== undefined) return found;
  throw new CodedError(
    'tn5250.unknown_application',
    `“${printable(name, 60)}” is no application of the catalogue.`,
    {
      next: 'See `sallyport ibmi apps`.',
    },
  );
}
