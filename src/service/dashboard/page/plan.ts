import type { Plan } from '../../../domain/plan.js';
import { ApiError, post } from './api.js';
import { figure, h, svg, table } from './elements.js';
import * as format from './format.js';

interface PlanAnswer extends Plan {
  script: string;
  pareto?: { duration_seconds: Plan['duration_seconds']; score_after: number; moves: number }[];
}

const ROW_HEIGHT = 26;
const NAME_WIDTH = 150;
const CHART_WIDTH = 900;
/** Rows drawn; the table below has all. */
const MOST_ROWS = 60;

/** Paste or upload a cluster, see what a balance would take, take the commands along. */
export function planPage(): Promise<HTMLElement> {
  const text = h('textarea', {
    id: 'cluster-text',
    rows: 10,
    required: true,
    spellcheck: 'false',
    placeholder: 'group|uuid|preferred||\n\nnode1|16384|…',
  });
  const file = h('input', { type: 'file', id: 'cluster-file', accept: '.data,.txt,text/plain' });
  const diskMoves = h('input', { type: 'checkbox', id: 'disk-moves', checked: true });
  const group = h('input', { id: 'group', autocomplete: 'off' });
  const button = h('button', { type: 'submit' }, 'Make a plan');
  const answer = h('div', { 'aria-live': 'polite' });
  file.addEventListener('change', () => {
    void file.files?.[0]?.text().then((content) => {
      text.value = content;
    });
  });
  const form = h(
    'form',
    { class: 'fields', novalidate: true },
    h('label', { class: 'field whole', for: 'cluster-text' }, 'Cluster, as hscan or hbal -S writes it', text),
    h('label', { class: 'field', for: 'cluster-file' }, 'or read it from a file', file),
    h(
      'label',
      { class: 'field', for: 'group' },
      h('span', {}, 'Node group', h('span', { class: 'muted' }, ' where there are several')),
      group,
    ),
    h('label', { class: 'field check', for: 'disk-moves' }, diskMoves, 'Moves may copy disks'),
    h(
      'div',
      { class: 'actions' },
      button,
      h('span', { class: 'muted small' }, 'Nothing is changed: you get a plan and its commands.'),
    ),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void ask();
  });
  const ask = async (): Promise<void> => {
    button.disabled = true;
    answer.replaceChildren(h('p', { class: 'muted spaced' }, 'Searching …'));
    try {
      const plan = await post<PlanAnswer>('/v1/plans', {
        cluster: text.value,
        disk_moves: diskMoves.checked,
        pareto: true,
        ...(group.value.trim() === '' ? {} : { group: group.value.trim() }),
      });
      answer.replaceChildren(...shown(withoutDomain(plan), plan));
    } catch (error) {
      const field = error instanceof ApiError ? error.field : undefined;
      answer.replaceChildren(h('p', { class: 'notice bad spaced', role: 'alert' }, (error as Error).message));
      (field === 'group' ? group : text).focus();
    } finally {
      button.disabled = false;
    }
  };
  return Promise.resolve(
    h(
      'div',
      {},
      h(
        'div',
        { class: 'headline' },
        h('h1', {}, 'Plan'),
        h(
          'p',
          { class: 'lead' },
          'Which moves balance a Ganeti cluster soon, how long they take, and what each waits for.',
        ),
      ),
      h('section', { class: 'panel' }, form),
      answer,
    ),
  );
}

/** `plan` as it is shown, and `whole` as it is taken along. */
function shown(plan: PlanAnswer, whole: PlanAnswer): HTMLElement[] {
  const { moves, score_before: before, score_after: after, duration_seconds: d } = plan;
  if (moves.length === 0)
    return [
      h(
        'section',
        { class: 'panel spaced' },
        h('h2', {}, 'Nothing to do'),
        h(
          'p',
          { class: 'muted' },
          `The cluster is balanced: its score is ${before.toFixed(4)} and no move lowers it enough.`,
        ),
      ),
    ];
  const tile = (name: string, value: Node, note: string): HTMLElement =>
    h('div', { class: 'tile' }, h('dt', {}, name), h('dd', {}, value), h('dd', { class: 'note' }, note));
  return [
    h(
      'dl',
      { class: 'tiles' },
      tile(
        'Done after',
        h('span', { class: 'figure' }, format.seconds(d.p50)),
        `most likely; nine times in ten within ${format.seconds(d.p90)}`,
      ),
      tile(
        'Score',
        h('span', { class: 'figure' }, after.toFixed(2)),
        `from ${before.toFixed(2)}; lower is better balanced`,
      ),
      tile(
        'Moves',
        figure(format.count(moves.length), moves.length === 1 ? 'move' : 'moves'),
        `in ${format.plural(plan.jobsets.length, 'jobset')} for Ganeti`,
      ),
      tile('To copy', h('span', { class: 'figure' }, format.memory(plan.bytes_mib)), 'RAM and disks'),
    ),
    ...(plan.warnings ?? []).map((warning) => h('p', { class: 'notice' }, warning)),
    h(
      'section',
      { class: 'panel', 'aria-labelledby': 'gantt' },
      h('h2', { id: 'gantt' }, 'When'),
      h(
        'p',
        { class: 'muted' },
        'Bars end at the median; the thin line goes on to where nine in ten have ended.',
      ),
      gantt(plan),
    ),
    ...(plan.pareto === undefined || plan.pareto.length < 2
      ? []
      : [
          h(
            'section',
            { class: 'panel spaced', 'aria-labelledby': 'pareto' },
            h('h2', { id: 'pareto' }, 'With less time'),
            h('p', { class: 'muted' }, 'The best score that was found within shorter times.'),
            paretoTable(plan),
          ),
        ]),
    h(
      'section',
      { class: 'panel spaced', 'aria-labelledby': 'moves' },
      h('h2', { id: 'moves' }, 'Moves'),
      h(
        'div',
        { class: 'actions' },
        download('Download the commands', 'movecast-plan.sh', whole.script, 'text/x-shellscript'),
        download(
          'Download as JSON',
          'movecast-plan.json',
          JSON.stringify(whole, null, 2),
          'application/json',
        ),
      ),
      movesTable(plan),
    ),
  ];
}

function gantt({ moves, duration_seconds: d }: Plan): HTMLElement {
  const rows = moves.slice(0, MOST_ROWS);
  const height = rows.length * ROW_HEIGHT + 26;
  const end = Math.max(d.p90, ...rows.map((move) => move.end_seconds.p90));
  const x = (seconds: number): number => NAME_WIDTH + (seconds / end) * (CHART_WIDTH - NAME_WIDTH - 4);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => part * end);
  return h(
    'div',
    {
      class: 'scroll',
      tabindex: 0,
      role: 'region',
      'aria-label': 'Gantt chart; the table below has the same figures',
    },
    svg(
      'svg',
      {
        class: 'gantt',
        viewBox: `0 0 ${CHART_WIDTH} ${height}`,
        role: 'img',
        'aria-label': `${rows.length} moves over ${format.seconds(d.p50)}`,
      },
      ...ticks.flatMap((tick, i) => [
        svg('line', { class: 'grid', x1: x(tick), x2: x(tick), y1: 0, y2: height - 22 }),
        svg(
          'text',
          { x: x(tick), y: height - 6, 'text-anchor': i === 0 ? 'start' : i === 4 ? 'end' : 'middle' },
          format.seconds(tick),
        ),
      ]),
      ...rows.flatMap((move, i) => {
        const y = i * ROW_HEIGHT + 5;
        const isDisk = move.steps.some(({ operation }) => operation === 'disk_replication');
        return [
          svg('text', { x: NAME_WIDTH - 8, y: y + 12, 'text-anchor': 'end' }, shortened(move.instance)),
          svg('line', {
            class: 'later',
            x1: x(move.end_seconds.p50),
            x2: x(move.end_seconds.p90),
            y1: y + 8,
            y2: y + 8,
          }),
          svg(
            'rect',
            {
              class: isDisk ? 'disk' : 'ram',
              x: x(move.start_seconds),
              y,
              width: Math.max(2, x(move.end_seconds.p50) - x(move.start_seconds)),
              height: 16,
              rx: 3,
            },
            svg(
              'title',
              {},
              `${move.instance} ${move.letters}: ${format.seconds(move.start_seconds)} to ${format.seconds(move.end_seconds.p50)}`,
            ),
          ),
        ];
      }),
    ),
    h(
      'ul',
      { class: 'chart-key' },
      h('li', {}, h('span', { class: 'swatch ram' }), 'RAM only'),
      h('li', {}, h('span', { class: 'swatch disk' }), 'copies disks'),
    ),
    moves.length > rows.length
      ? h('p', { class: 'muted small' }, `The first ${rows.length} of ${moves.length} moves.`)
      : undefined,
  );
}

/** Names of one domain are shown without it: `node1.example.com` as `node1`, where all end alike. */
function withoutDomain(plan: PlanAnswer): PlanAnswer {
  const names = plan.moves.flatMap(({ instance, from, to }) => [
    instance,
    ...[from, to].flatMap(({ primary, secondary }) =>
      secondary === undefined ? [primary] : [primary, secondary],
    ),
  ]);
  const first = names[0] ?? '';
  const dot = first.indexOf('.');
  const domain = dot < 0 ? '' : first.slice(dot);
  if (domain === '' || !names.every((name) => name.endsWith(domain))) return plan;
  const short = (name: string): string => name.slice(0, -domain.length);
  const place = ({ primary, secondary }: { primary: string; secondary?: string | undefined }) => ({
    primary: short(primary),
    ...(secondary === undefined ? {} : { secondary: short(secondary) }),
  });
  return {
    ...plan,
    moves: plan.moves.map((move) => ({
      ...move,
      instance: short(move.instance),
      letters: move.letters.replaceAll(domain, ''),
      from: place(move.from),
      to: place(move.to),
    })),
  };
}

const LONGEST_NAME = 20;
const shortened = (name: string): string =>
  name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;

const paretoTable = ({ pareto = [] }: PlanAnswer): HTMLElement =>
  table(
    'Score against time',
    [
      { title: 'Done after', numeric: true },
      { title: 'Nine in ten within', numeric: true },
      { title: 'Score', numeric: true },
      { title: 'Moves', numeric: true },
    ],
    pareto.map(({ duration_seconds: d, score_after: score, moves }) => [
      format.seconds(d.p50),
      format.seconds(d.p90),
      score.toFixed(4),
      format.count(moves),
    ]),
  );

const movesTable = ({ moves }: PlanAnswer): HTMLElement =>
  table(
    'Moves in their order',
    [
      { title: '#', numeric: true },
      { title: 'Instance' },
      { title: 'Nodes' },
      { title: 'As hbal writes it' },
      { title: 'Waits for' },
      { title: 'Starts', numeric: true },
      { title: 'Ends', numeric: true },
      { title: 'Score then', numeric: true },
    ],
    moves.map((move) => [
      String(move.index + 1),
      move.instance,
      `${placement(move.from)} → ${placement(move.to)}`,
      move.letters,
      move.after.length === 0 ? '–' : move.after.map((index) => index + 1).join(', '),
      format.seconds(move.start_seconds),
      format.seconds(move.end_seconds.p50),
      move.score_after.toFixed(4),
    ]),
  );

const placement = ({ primary, secondary }: { primary: string; secondary?: string | undefined }): string =>
  secondary === undefined ? primary : `${primary}:${secondary}`;

function download(text: string, name: string, content: string, type: string): HTMLElement {
  const made = h('button', { class: 'quiet', type: 'button' }, text);
  made.addEventListener('click', () => {
    const url = URL.createObjectURL(new Blob([content], { type }));
    h('a', { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  });
  return made;
}
