import { h } from './elements.js';

/** The part of Markdown that model cards use: headings, tables, lists, code blocks and paragraphs. Text goes in as text. */
export function markdown(text: string): HTMLElement {
  const place = h('div', { class: 'prose' });
  const blocks = text.replace(/\r/g, '').split(/\n{2,}/);
  for (const block of blocks) {
    const lines = block.split('\n').filter((line) => line.trim() !== '');
    if (lines.length > 0) place.append(...blockOf(lines));
  }
  return place;
}

function blockOf(lines: readonly string[]): HTMLElement[] {
  const first = lines[0]!;
  const heading = /^(#{1,4}) (.*)$/.exec(first);
  if (heading !== null) {
    const made = h(heading[1]!.length === 1 ? 'h2' : 'h3', {}, ...inline(heading[2]!));
    return lines.length > 1 ? [made, ...blockOf(lines.slice(1))] : [made];
  }
  if (first.startsWith('```')) return [h('pre', {}, lines.slice(1, -1).join('\n'))];
  if (first.startsWith('|')) return [tableOf(lines)];
  if (/^[-*] /.test(first)) return [h('ul', {}, ...items(lines).map((item) => h('li', {}, ...inline(item))))];
  return [h('p', {}, ...inline(lines.join(' ')))];
}

/** List items; a line that starts no item goes on with the one before. */
function items(lines: readonly string[]): string[] {
  const found: string[] = [];
  for (const line of lines) {
    if (/^[-*] /.test(line)) found.push(line.slice(2));
    else found.push(`${found.pop() ?? ''} ${line.trim()}`);
  }
  return found;
}

function tableOf(lines: readonly string[]): HTMLElement {
  const rows = lines
    .filter((line) => !/^\|[\s:|-]+\|$/.test(line))
    .map((line) =>
      line
        .replace(/^\||\|$/g, '')
        .split('|')
        .map((cell) => cell.trim()),
    );
  const [head = [], ...body] = rows;
  const numeric = head.map(
    (_, column) =>
      body.length > 0 && body.every((row) => /^[-+−]?[\d.,]+ ?%?$|^$|^–$/.test(row[column] ?? '')),
  );
  const cell = (tag: 'th' | 'td', text: string, column: number): HTMLElement =>
    h(
      tag,
      { ...(tag === 'th' ? { scope: 'col' } : {}), ...(numeric[column] ? { class: 'number' } : {}) },
      ...inline(text),
    );
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': head.join(', ') },
    h(
      'table',
      {},
      h('thead', {}, h('tr', {}, ...head.map((text, i) => cell('th', text, i)))),
      h('tbody', {}, ...body.map((row) => h('tr', {}, ...row.map((text, i) => cell('td', text, i))))),
    ),
  );
}

const inline = (text: string): (Node | string)[] =>
  text
    .split(/(`[^`]+`|\*\*[^*]+\*\*)/)
    .map((part) =>
      part.startsWith('`') && part.length > 2
        ? h('code', {}, part.slice(1, -1))
        : part.startsWith('**') && part.length > 4
          ? h('strong', {}, part.slice(2, -2))
          : part,
    );
