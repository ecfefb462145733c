import { get, type ListedMove } from './api.js';
import { rangeBar } from './charts.js';
import { h, tag } from './elements.js';
import * as format from './format.js';

const PAGE_MOVES = 50;

const filters = [
  ['instance', 'Instance'],
  ['source_node', 'From node'],
  ['target_node', 'To node'],
  ['cluster', 'Cluster'],
] as const;

const operations = ['live_migration', 'failover', 'disk_replication'] as const;

const how: Record<string, string> = {
  asked_before: 'predicted before it started',
  from_history: 'predicted afterwards, from what had finished before it started',
  backtest: 'predicted by the backtest of the training, from what had finished before it started',
};

/** Every finished move with what had been predicted; filter, page, detail. The filters stand in the address. */
export async function movesPage(query: URLSearchParams): Promise<HTMLElement> {
  const rows = h('tbody', {});
  const more = h('button', { class: 'quiet', type: 'button' }, 'Older moves');
  const said = h('p', { class: 'muted small', 'aria-live': 'polite' });
  let oldest: string | undefined;
  const seen = new Set<string>();

  const load = async (): Promise<void> => {
    const wanted: Record<string, string> = { limit: String(PAGE_MOVES) };
    for (const [name] of filters) if (query.get(name)) wanted[name] = query.get(name)!;
    if (query.get('operation')) wanted['operation'] = query.get('operation')!;
    if (oldest !== undefined) wanted['to'] = oldest;
    const { moves } = await get<{ moves: ListedMove[] }>('/v1/moves', wanted);
    const fresh = moves.filter(({ id }) => !seen.has(id));
    for (const move of fresh) {
      seen.add(move.id);
      rows.append(...moveRows(move));
    }
    const last = moves.at(-1);
    // One millisecond later, so that a move that started at the same moment is not passed over.
    if (last !== undefined) oldest = new Date(Date.parse(last.started_at) + 1).toISOString();
    more.hidden = fresh.length === 0 || moves.length < PAGE_MOVES;
    said.textContent =
      seen.size === 0
        ? 'No move matches.'
        : `${format.plural(seen.size, 'move')} shown${more.hidden ? '' : ', newest first'}.`;
  };
  more.addEventListener('click', () => void load());
  await load();

  const form = h('form', { class: 'fields filters', role: 'search' });
  for (const [name, label] of filters)
    form.append(
      h(
        'label',
        { class: 'field', for: `filter-${name}` },
        label,
        h('input', { id: `filter-${name}`, name, value: query.get(name) ?? '', autocomplete: 'off' }),
      ),
    );
  const operation = h(
    'select',
    { id: 'filter-operation', name: 'operation' },
    h('option', { value: '' }, 'any'),
    ...operations.map((value) =>
      h('option', { value, selected: query.get('operation') === value }, format.operation(value)),
    ),
  );
  form.append(
    h('label', { class: 'field', for: 'filter-operation' }, 'Operation', operation),
    h(
      'div',
      { class: 'actions' },
      h('button', { type: 'submit' }, 'Filter'),
      h('a', { href: '#/moves' }, 'Clear'),
    ),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const next = new URLSearchParams();
    for (const [name, value] of new FormData(form))
      if (typeof value === 'string' && value.trim() !== '') next.set(name, value.trim());
    location.hash = `#/moves?${next.toString()}`;
  });

  return h(
    'div',
    {},
    h(
      'div',
      { class: 'headline' },
      h('h1', {}, 'Moves'),
      h('p', { class: 'lead' }, 'Every finished move beside what had been predicted for it.'),
    ),
    h(
      'section',
      { class: 'panel' },
      form,
      said,
      h(
        'div',
        { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Moves' },
        h(
          'table',
          {},
          h(
            'caption',
            { class: 'visually-hidden' },
            'Moves, newest first; the button of a row shows its detail',
          ),
          h(
            'thead',
            {},
            h(
              'tr',
              {},
              ...['Started', 'Instance', 'From → to', 'Operation'].map((title) =>
                h('th', { scope: 'col' }, title),
              ),
              ...['Predicted', '80 % interval', 'Took', 'Error'].map((title) =>
                h('th', { scope: 'col', class: 'number' }, title),
              ),
              h('th', { scope: 'col' }, h('span', { class: 'visually-hidden' }, 'Detail')),
            ),
          ),
          rows,
        ),
      ),
      h('div', { class: 'actions' }, more),
    ),
  );
}

function moveRows(move: ListedMove): HTMLElement[] {
  const { predicted } = move;
  const p = predicted?.duration_seconds;
  const status = move.status ?? 'completed';
  const button = h('button', { class: 'quiet compact', type: 'button', 'aria-expanded': 'false' }, 'Why?');
  const detail = h('tr', { class: 'detail' }, h('td', { colspan: 9 }));
  detail.hidden = true;
  button.addEventListener('click', () => {
    if (detail.hidden && detail.firstElementChild!.childElementCount === 0)
      detail.firstElementChild!.append(explanation(move));
    detail.hidden = !detail.hidden;
    button.setAttribute('aria-expanded', String(!detail.hidden));
  });
  const outside = p !== undefined && (move.duration_seconds < p.p10 || move.duration_seconds > p.p90);
  const number = (...content: (Node | string)[]): HTMLElement => h('td', { class: 'number' }, ...content);
  return [
    h(
      'tr',
      {},
      h('td', {}, format.when(move.started_at)),
      h('td', {}, move.instance),
      h('td', {}, `${move.source_node} → ${move.target_node}`),
      h('td', {}, format.operation(move.operation)),
      number(p === undefined ? '–' : format.seconds(p.p50)),
      number(
        p === undefined
          ? '–'
          : h('span', { class: 'muted' }, `${format.seconds(p.p10)} to ${format.seconds(p.p90)}`),
      ),
      number(format.seconds(move.duration_seconds)),
      number(
        status !== 'completed'
          ? tag(status, 'warn')
          : p === undefined
            ? '–'
            : outside
              ? tag(format.signedPercent(100 * (p.p50 / move.duration_seconds - 1)), 'warn')
              : format.signedPercent(100 * (p.p50 / move.duration_seconds - 1)),
      ),
      h('td', {}, button),
    ),
    detail,
  ];
}

/** What was known of the move, what was predicted from which history, and where the outcome lay. */
function explanation(move: ListedMove): HTMLElement {
  const known: [string, string | undefined][] = [
    ['Memory', move.memory_mib === undefined ? undefined : format.memory(move.memory_mib)],
    ['Touched memory', move.used_memory_mib === undefined ? undefined : format.memory(move.used_memory_mib)],
    ['Disk to copy', move.disk_mib === undefined ? undefined : format.memory(move.disk_mib)],
    ['Dirty rate', move.dirty_rate_mib_s === undefined ? undefined : `${move.dirty_rate_mib_s} MiB/s`],
    ['Link', move.link_mbps === undefined ? undefined : `${format.count(move.link_mbps)} Mbit/s`],
    [
      'Other traffic',
      move.background_mbps === undefined ? undefined : `${format.count(move.background_mbps)} Mbit/s`,
    ],
    ['Cap', move.max_bandwidth_mib_s === undefined ? undefined : `${move.max_bandwidth_mib_s} MiB/s`],
    ['Other moves then', move.concurrent_moves === undefined ? undefined : String(move.concurrent_moves)],
    [
      'Capabilities',
      move.capabilities === undefined || move.capabilities.length === 0
        ? undefined
        : move.capabilities.join(', '),
    ],
    ['Cluster', move.cluster],
    ['Id', move.id],
  ];
  const { predicted } = move;
  return h(
    'div',
    { class: 'why' },
    h(
      'dl',
      { class: 'facts' },
      ...known.flatMap(([name, value]) =>
        value === undefined ? [] : [h('div', {}, h('dt', {}, name), h('dd', {}, value))],
      ),
    ),
    predicted === null
      ? h(
          'p',
          {},
          'No forecast to compare with: the model had been trained on this move, or it was not in service then.',
        )
      : h(
          'div',
          {},
          rangeBar(predicted.duration_seconds, move.duration_seconds),
          h(
            'p',
            { class: 'muted small' },
            `${predicted.model}, from ${format.basis(predicted.basis)}; ${how[predicted.how] ?? predicted.how}.`,
          ),
        ),
  );
}
