// Persons for the sandbox: ordinary ones, a thousand, and ones whose names attack the page.

import { writeFileSync } from 'node:fs';

const long = 'Wolfeschlegelsteinhausenbergerdorff'.repeat(30);

/** Names, by distinct id. */
export const hostile = {
  'hostile-markup': '<img src=x onerror=alert(1)><script>alert(2)</script></td></tr></table></form>',
  'hostile-form': '"><button form=answer name=answer value=approve autofocus>Cancel</button>',
  'hostile-template': '{{ form_token }} {% for x in y %} &lt;b&gt; &#x3c;i&#x3e;',
  'hostile-right-to-left': '\u0645\u0631\u062d\u0628\u0627 \u202e\u2067moc.elpmaxe@live',
  'hostile-long': long,
  'hostile-tall': `a${'\u0301'.repeat(200)}`,
  'hostile-lines': 'first\nDeleted: nobody\n\n\n\n\n\u2028Stays: everything',
  'hostile-style': '</style><style>*{display:none}</style>',
};

export const many = Array.from({ length: 1000 }, (_, index) => `many-${index + 1}`);
export const ordinary = Array.from({ length: 60 }, (_, index) => `person-${index + 1}`);

/** Writes the seed file. */
export function writeSeed(path) {
  const names = [
    ...ordinary.map((id) => [id, `Person ${id.slice(7)}`]),
    ...Object.entries(hostile),
    // Neither the alphabetical nor the numerical order.
    ...many.map((id, index) => [id, `Visitor ${((index * 379) % 1000) + 1}`]),
  ];
  const seed = names.map(([distinctId, name], index) => ({
    id: 1000 + index,
    uuid: `00000000-0000-4000-8000-${String(index + 1).padStart(12, '0')}`,
    created_at: new Date(Date.UTC(2026, 0, 1) + index * 3_600_000).toISOString(),
    distinct_ids: [distinctId, `${distinctId}@example.com`],
    // An email would be shown in place of the name.
    properties: ordinary.includes(distinctId) ? { name, email: `${distinctId}@example.com` } : { name },
  }));
  writeFileSync(path, JSON.stringify({ now: '2026-11-01T12:00:00Z', seed }));
}
