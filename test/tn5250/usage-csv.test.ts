import { describe, expect, it, test } from 'vitest';
import { parseUsageCsv } from '../../src/tn5250/index.ts';
import { codeOfSync } from '../support/code-of.ts';

const header =
  'DESCRIPTION,APPLICATION_ID,APPLICATION_TYPE,CERTIFICATE_STORE,CERTIFICATE_LABEL_COUNT,CERTIFICATE_LABELS';

describe('a system’s own list', () => {
  it('is read with quotes, line ends inside, and JSON labels', () => {
    const text = `\uFEFF${header}\r\n"IBM i TCP/IP Telnet Server",QIBM_QTV_TELNET_SERVER,SERVER,*SYSTEM,2,"[""telnet-2026"",""telnet-rsa""]"\r\n"two\nlines, ""quoted""",QIBM_OS400_QZBS_SVR_SIGNON,SERVER,*SYSTEM,0,\r\n`;
    expect(parseUsageCsv(text)).toEqual([
      {
        applicationId: 'QIBM_QTV_TELNET_SERVER',
        description: 'IBM i TCP/IP Telnet Server',
        type: 'SERVER',
        store: '*SYSTEM',
        labels: ['telnet-2026', 'telnet-rsa'],
      },
      {
        applicationId: 'QIBM_OS400_QZBS_SVR_SIGNON',
        description: 'two\nlines, "quoted"',
        type: 'SERVER',
        store: '*SYSTEM',
        labels: [],
      },
    ]);
  });

  it('is read with semicolons, columns in any order, and labels inside an object', () => {
    const text = `Certificate_Labels;application_id\n"{""CERTIFICATE_LABELS"":[{""CERTIFICATE_LABEL"":""A B""}]}";QIBM_X\n\n`;
    expect(parseUsageCsv(text)).toEqual([
      { applicationId: 'QIBM_X', description: '', type: '', store: '', labels: ['A B'] },
    ]);
  });

  test.each([
    ['is empty', '', 'tn5250.bad_csv'],
    ['has no ids', 'DESCRIPTION,CERTIFICATE_STORE\nx,y\n', 'tn5250.bad_csv'],
    ['names a column twice', 'APPLICATION_ID,APPLICATION_ID\nA,B\n', 'tn5250.bad_csv'],
    ['lacks a field', `${header}\nx,QIBM_X\n`, 'tn5250.bad_csv'],
    ['has a field too many', 'APPLICATION_ID\nQIBM_X,1\n', 'tn5250.bad_csv'],
    ['has an id with a space', 'APPLICATION_ID\nQIBM X\n', 'tn5250.bad_csv'],
    ['has an id in lower case', 'APPLICATION_ID\nqibm_x\n', 'tn5250.bad_csv'],
    ['has an id that is a formula', 'APPLICATION_ID\n=cmd()\n', 'tn5250.bad_csv'],
    ['has an application twice', 'APPLICATION_ID\nQIBM_X\nQIBM_X\n', 'tn5250.bad_csv'],
    ['has labels that are no JSON', 'APPLICATION_ID,CERTIFICATE_LABELS\nQIBM_X,[A\n', 'tn5250.bad_csv'],
    ['has labels that are numbers', 'APPLICATION_ID,CERTIFICATE_LABELS\nQIBM_X,"[1,2]"\n', 'tn5250.bad_csv'],
    [
      'has labels in four lists',
      'APPLICATION_ID,CERTIFICATE_LABELS\nQIBM_X,"[[[[""a""]]]]"\n',
      'tn5250.bad_csv',
    ],
    [
      'has 65 labels',
      `APPLICATION_ID,CERTIFICATE_LABELS\nQIBM_X,"[${Array(65).fill('""a""').join(',')}]"\n`,
      'tn5250.bad_csv',
    ],
    ['has a quote that does not end', 'APPLICATION_ID\n"QIBM_X\n', 'tn5250.bad_csv'],
    ['has text behind a quote', 'APPLICATION_ID\n"QIBM_X"Y\n', 'tn5250.bad_csv'],
    [
      'has 2,001 rows',
      `APPLICATION_ID\n${Array.from({ length: 2001 }, (_one, nth) => `A${nth}`).join('\n')}`,
      'tn5250.csv_too_long',
    ],
    ['has a field without end', `APPLICATION_ID\n${'A'.repeat(32_769)}`, 'tn5250.csv_too_long'],
    ['is over 1 MiB', 'x'.repeat(1_048_577), 'tn5250.csv_too_long'],
  ])('is refused when it %s', (_title, text, code) => {
    expect(codeOfSync(() => parseUsageCsv(text))).toBe(code);
  });
});
