import { printable } from '../../kernel/index.ts';

const style = `
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, "Segoe UI", "Liberation Sans", Arial, sans-serif; color: #1b1f24; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; border-bottom: 2px solid #1b1f24; padding-bottom: .2rem; }
p.lead { margin: .25rem 0; color: #454c54; } code { font: .92em ui-monospace, "Liberation Mono", Consolas, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; } th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #d0d5da; }
th { font-weight: 600; background: #f2f4f6; } td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
ul { margin: 0; padding-left: 1.1rem; } .mark { display: inline-block; min-width: 4.6rem; font-weight: 600; }
.bad { color: #a3141c; } .warning { color: #805500; } .note { color: #1f5f99; } .fine { color: #1d6b35; }
.summary td { font-size: 1.05rem; } footer { margin-top: 2.5rem; border-top: 1px solid #d0d5da; padding-top: .6rem; color: #454c54; font-size: .9em; }
@media print { body { margin: 0; max-width: none; font-size: 10pt; } h2 { break-after: avoid; } tr, li { break-inside: avoid; } th { background: none; border-bottom: 1.5px solid #000; } thead { display: table-header-group; } @page { size: A4 landscape; margin: 14mm; } }
`;

/**
 * A page that needs nothing else: no script, no font, no picture, and nothing is fetched when it is opened. It prints on A4.
 * @param body HTML, in which everything from outside went through `escapeHtml`
 */
export function htmlPage(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
${body}
</body>
</html>
`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text of others becomes text of the page, whatever it says; controls and direction marks are made visible. */
export function escapeHtml(text: string): string {
  return printable(text, 4096).replaceAll(/[&<>"']/g, (found) => entities[found] ?? '');
}
