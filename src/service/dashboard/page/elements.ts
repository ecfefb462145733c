type Child = Node | string | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element with attributes and children; text goes in as text, never as markup. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  return filled(document.createElement(tag), attributes, children);
}

const SVG = 'http://www.w3.org/2000/svg';

/** The same for SVG. */
export function svg(tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  return filled(document.createElementNS(SVG, tag) as SVGElement, attributes, children);
}

function filled<E extends Element>(element: E, attributes: Attributes, children: Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children) if (child !== undefined && child !== false) element.append(child);
  return element;
}

/** A table with a caption; columns named in `numeric` are set to the right. */
export function table(
  caption: string,
  columns: readonly { title: string; numeric?: boolean }[],
  rows: readonly (readonly (Node | string)[])[],
): HTMLElement {
  const cell = (tag: 'th' | 'td', content: Node | string, column: number): HTMLElement =>
    h(
      tag,
      { ...(columns[column]?.numeric ? { class: 'number' } : {}), ...(tag === 'th' ? { scope: 'col' } : {}) },
      content,
    );
  return h(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    h(
      'table',
      {},
      h('caption', { class: 'visually-hidden' }, caption),
      h('thead', {}, h('tr', {}, ...columns.map(({ title }, i) => cell('th', title, i)))),
      h(
        'tbody',
        {},
        ...rows.map((cells) => h('tr', {}, ...cells.map((content, i) => cell('td', content, i)))),
      ),
    ),
  );
}

/** A number with its unit set smaller. */
export function figure(value: string, unit: string): HTMLElement {
  return h('span', { class: 'figure' }, value, h('span', { class: 'unit' }, `\u202f${unit}`));
}

export const tag = (text: string, kind: 'good' | 'warn' | 'bad' | 'plain' = 'plain'): HTMLElement =>
  h('span', { class: kind === 'plain' ? 'tag' : `tag ${kind}` }, text);
