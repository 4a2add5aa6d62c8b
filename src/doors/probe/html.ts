import { toRfc3339 } from '../../kernel/index.ts';
import { escapeHtml as escape, htmlPage } from './html-page.ts';
import type { CertificateLook, Finding, HostLook, PortLook, ProbeReport } from './report.ts';

const stateWords: Readonly<Record<PortLook['state'], string>> = {
  closed: 'closed',
  no_answer: 'no answer',
  silent: 'open, silent',
  clear: 'open, in the clear',
  not_tls: 'in the clear, TLS expected',
  tls_failed: 'TLS handshake failed',
  tls: 'TLS',
  tls_client_certificate: 'TLS, client certificate required',
};

/** In words, what a port does. */
export function stateText({ state, tls, telnet }: PortLook): string {
  const speaks = telnet === 'tn5250' ? ', 5250 telnet' : telnet === 'telnet' ? ', telnet' : '';
  const version = tls?.version === undefined ? '' : ` ${tls.version.replace('TLSv', '')}`;
  return state === 'tls' ? `TLS${version}${speaks}` : `${stateWords[state]}${speaks}`;
}

/** What is found, with the worst first. */
export function allFindings({
  ports,
  findings,
}: HostLook): readonly (Finding & { readonly port?: number })[] {
  const all = [
    ...findings,
    ...ports.flatMap((look) => look.findings.map((one) => ({ ...one, port: look.port }))),
  ];
  return (['bad', 'warning', 'note'] as const).flatMap((weight) =>
    all.filter((one) => one.weight === weight),
  );
}

/** A report for a file: complete, printable, in one page without script. Everything that servers said is inert in it. */
export function renderHtml(report: ProbeReport, version: string): string {
  const found = report.hosts.flatMap(allFindings);
  const count = (weight: Finding['weight']): number => found.filter((one) => one.weight === weight).length;
  const bad = report.hosts.filter((host) => allFindings(host).some(({ weight }) => weight === 'bad')).length;
  const body = [
    '<h1>What the ports really serve</h1>',
    `<p class="lead">${report.hosts.length} ${plural(report.hosts.length, 'host')}, looked at from ${toRfc3339(report.startedMs)} to ${toRfc3339(report.endedMs)} (UTC).</p>`,
    '<table class="summary"><tbody>',
    `<tr><td><strong class="${bad === 0 ? 'fine' : 'bad'}">${bad}</strong> ${plural(bad, 'host')} with something to put right</td><td><strong class="bad">${count('bad')}</strong> to put right</td><td><strong class="warning">${count('warning')}</strong> to look at</td><td><strong class="note">${count('note')}</strong> good to know</td></tr>`,
    '</tbody></table>',
    ...report.hosts.map(hostSection),
    `<footer>Made by sallyport ${escape(version)}. One connection was made to each port and closed after the first bytes of the server; no user name and no password was sent. Closed ports are left out of the tables. Times are UTC.</footer>`,
  ];
  return htmlPage(`Probe report ${toRfc3339(report.startedMs)}`, body.join('\n'));
}

function hostSection(host: HostLook): string {
  const open = host.ports.filter(({ state }) => state !== 'closed' && state !== 'no_answer');
  const unheard = host.ports.filter(({ state }) => state === 'no_answer').map(({ port }) => port);
  const findings = allFindings(host);
  const lines = [
    `<h2>${escape(host.host)}${host.address === undefined || host.address === host.host ? '' : ` <small>(${escape(host.address)})</small>`}</h2>`,
    findings.length === 0
      ? '<p class="fine">Nothing to put right.</p>'
      : `<ul>${findings.map(findingItem).join('')}</ul>`,
  ];
  if (open.length > 0)
    lines.push(
      '<table><thead><tr><th>Port</th><th>Service</th><th>Serves</th><th>Certificate</th><th>Days left</th></tr></thead><tbody>',
      ...open.map(portRow),
      '</tbody></table>',
    );
  else if (host.address !== undefined) lines.push('<p>No port of the catalogue is open.</p>');
  if (unheard.length > 0) lines.push(`<p class="lead">No answer from ${unheard.join(', ')}.</p>`);
  return lines.join('\n');
}

function findingItem({ weight, text, port, code }: Finding & { readonly port?: number }): string {
  const word = { bad: 'Put right', warning: 'Look at', note: 'Note' }[weight];
  return `<li><span class="mark ${weight}">${word}</span> ${port === undefined ? '' : `<strong>${port}</strong>: `}${escape(text)} <code>${code}</code></li>`;
}

function portRow(look: PortLook): string {
  const [leaf] = look.tls?.chain ?? [];
  const worst = (['bad', 'warning'] as const).find((weight) =>
    look.findings.some((one) => one.weight === weight),
  );
  const serves = `<span class="${worst ?? 'fine'}">${escape(stateText(look))}</span>${look.tls?.cipher === undefined ? '' : `<br><code>${escape(look.tls.cipher)}</code>`}`;
  return `<tr><td class="number">${look.port}</td><td>${escape(look.service)}</td><td>${serves}</td><td>${leaf === undefined ? '' : certificateCell(leaf, look)}</td><td class="number">${look.tls === undefined ? '' : look.tls.daysLeft}</td></tr>`;
}

function certificateCell(leaf: CertificateLook, { tls }: PortLook): string {
  const trust =
    tls?.trust === 'ours' ? 'of our authority' : tls?.trust === 'not_ours' ? 'of another authority' : '';
  const revoked = { good: 'not revoked', revoked: 'revoked', unknown: 'revocation unknown', not_asked: '' }[
    tls?.revocation ?? 'not_asked'
  ];
  const facts = [leaf.key, trust, revoked, `until ${toRfc3339(leaf.notAfterMs).slice(0, 10)}`].filter(
    (fact) => fact !== '',
  );
  return `${escape(leaf.subject)}<br>names: ${escape(leaf.names.join(', ') || 'none')}<br>issuer: ${escape(leaf.issuer)}<br>${escape(facts.join(', '))}<br><code>SHA-256 ${leaf.sha256}</code>`;
}

const plural = (count: number, word: string): string => (count === 1 ? word : `${word}s`);
