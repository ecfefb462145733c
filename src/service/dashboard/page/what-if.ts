import type { MoveRequest } from '../../../domain/move-request.js';
import { ApiError, get, predict, type ListedMove } from './api.js';
import { rangeBar } from './charts.js';
import { h, tag } from './elements.js';
import { explanationOf } from './explanation.js';
import * as format from './format.js';

interface Field {
  name: keyof MoveRequest;
  label: string;
  unit?: string;
  required?: boolean;
  /** What one unit of the field is in the request's unit. */
  factor?: number;
  choices?: readonly (readonly [value: string, text: string])[];
}

const fields: readonly Field[] = [
  { name: 'instance', label: 'Instance', required: true },
  { name: 'source_node', label: 'From node', required: true },
  { name: 'target_node', label: 'To node', required: true },
  {
    name: 'operation',
    label: 'Operation',
    choices: [
      ['live_migration', 'live migration'],
      ['failover', 'failover'],
      ['disk_replication', 'disk replication'],
    ],
  },
  { name: 'memory_mib', label: 'Memory', unit: 'GiB', factor: 1024 },
  { name: 'disk_mib', label: 'Disk to copy', unit: 'GiB', factor: 1024 },
  { name: 'dirty_rate_mib_s', label: 'Dirty rate', unit: 'MiB/s' },
  { name: 'link_mbps', label: 'Link', unit: 'Mbit/s' },
  { name: 'cluster', label: 'Cluster' },
];

/** On the page of its own the form has everything that a request may carry. */
const moreFields: readonly Field[] = [
  { name: 'used_memory_mib', label: 'Touched memory', unit: 'GiB', factor: 1024 },
  { name: 'background_mbps', label: 'Other traffic', unit: 'Mbit/s' },
  { name: 'max_bandwidth_mib_s', label: 'Cap', unit: 'MiB/s' },
  { name: 'downtime_limit_ms', label: 'Downtime limit', unit: 'ms' },
  { name: 'concurrent_moves', label: 'Other moves', unit: 'on either node' },
  { name: 'cpu_load', label: 'CPU load', unit: 'tasks a core' },
];

const bases: Record<string, string> = {
  link: 'It stands on earlier moves between these two nodes.',
  node: 'It stands on earlier moves of one of these nodes; this pair has no history yet.',
  cluster: 'It stands on earlier moves of this cluster; these nodes have no history yet.',
  prior: 'It stands on physics alone: nothing like it has been seen yet. Report moves and it will sharpen.',
};

/** The form that asks for one prediction and explains the answer. `start` fills it in; `full` has every field and says what would change the answer. */
export function whatIfForm(
  start: Partial<Record<keyof MoveRequest, string>> = {},
  { full = false }: { full?: boolean } = {},
): HTMLElement {
  const shownFields = full ? [...fields, ...moreFields] : fields;
  const answer = h('div', { class: 'answer', 'aria-live': 'polite' });
  const button = h('button', { type: 'submit' }, 'Predict');
  const inputs = new Map<string, HTMLInputElement | HTMLSelectElement>();
  const form = h('form', { class: 'fields', novalidate: true });
  for (const field of shownFields) {
    const id = `what-if-${field.name}`;
    const input =
      field.choices === undefined
        ? h('input', {
            id,
            name: field.name,
            required: field.required === true,
            autocomplete: 'off',
            spellcheck: 'false',
            ...(field.unit === undefined
              ? { type: 'text' }
              : { type: 'number', min: 0, step: 'any', inputmode: 'decimal' }),
          })
        : h(
            'select',
            { id, name: field.name },
            ...field.choices.map(([value, text]) => h('option', { value }, text)),
          );
    const value = start[field.name];
    if (value !== undefined) input.value = value;
    inputs.set(field.name, input);
    form.append(
      h(
        'label',
        { class: 'field', for: id },
        h(
          'span',
          {},
          field.label,
          field.unit === undefined ? undefined : h('span', { class: 'muted' }, ` ${field.unit}`),
          field.name === 'cluster' && h('span', { class: 'muted' }, ' optional'),
        ),
        input,
      ),
    );
  }
  form.append(
    h(
      'div',
      { class: 'actions' },
      button,
      h('span', { class: 'muted small' }, 'What is left empty is filled in from history.'),
    ),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    void ask();
  });
  return h('div', {}, form, answer);

  async function ask(): Promise<void> {
    for (const input of inputs.values()) input.removeAttribute('aria-invalid');
    button.disabled = true;
    try {
      const request = requestOf(inputs, shownFields);
      const prediction = await predict(request);
      const { duration_seconds: p } = prediction;
      answer.replaceChildren(
        h('p', { class: 'muted small' }, 'Most likely'),
        h('p', { class: 'figure' }, format.seconds(p.p50)),
        rangeBar(p),
        h(
          'p',
          {},
          `9 of 10 such moves should take between ${format.seconds(p.p05)} and ${format.seconds(p.p95)}. ${bases[prediction.basis]}`,
        ),
        h(
          'p',
          { class: 'muted small' },
          `Chance that it finishes: ${format.share(prediction.completion_probability)}. `,
          prediction.inputs_filled.length > 0 &&
            `Filled in from history: ${prediction.inputs_filled.join(', ')}. `,
          `Model ${prediction.model.name}@${prediction.model.version}.`,
        ),
        ...prediction.warnings.map((warning) =>
          h('p', { class: 'small' }, tag('note', 'warn'), ` ${warning}`),
        ),
      );
      if (full) answer.append(await explanationOf(request, p.p50));
    } catch (error) {
      const field = error instanceof ApiError ? error.field : undefined;
      const wrong = field === undefined ? undefined : inputs.get(field);
      wrong?.setAttribute('aria-invalid', 'true');
      wrong?.focus();
      answer.replaceChildren(h('p', { class: 'notice bad', role: 'alert' }, (error as Error).message));
    } finally {
      button.disabled = false;
    }
  }
}

function requestOf(
  inputs: ReadonlyMap<string, HTMLInputElement | HTMLSelectElement>,
  shownFields: readonly Field[],
): MoveRequest {
  const request: Record<string, unknown> = {};
  for (const { name, unit, factor = 1 } of shownFields) {
    const text = inputs.get(name)!.value.trim();
    if (text === '') continue;
    request[name] = unit === undefined ? text : Number(text) * factor;
  }
  return request as unknown as MoveRequest;
}

/** What the form starts with: the newest move, so that the first answer is about this cluster. */
export function startOf(move: ListedMove | undefined): Partial<Record<keyof MoveRequest, string>> {
  if (move === undefined)
    return { instance: 'web1', source_node: 'node1', target_node: 'node2', memory_mib: '4' };
  return {
    instance: move.instance,
    source_node: move.source_node,
    target_node: move.target_node,
    operation: move.operation,
    ...(move.cluster === undefined ? {} : { cluster: move.cluster }),
    ...(move.memory_mib === undefined
      ? {}
      : { memory_mib: String(Number((move.memory_mib / 1024).toFixed(3))) }),
  };
}

/** A page of its own: every input, and which of them move the answer. */
export async function whatIfPage(): Promise<HTMLElement> {
  const { moves } = await get<{ moves: ListedMove[] }>('/v1/moves', { limit: '1' });
  return h(
    'div',
    {},
    h(
      'div',
      { class: 'headline' },
      h('h1', {}, 'What if?'),
      h(
        'p',
        { class: 'lead' },
        'How long a move would take, how sure that is, and what would make it faster.',
      ),
    ),
    h('section', { class: 'panel' }, whatIfForm(startOf(moves[0]), { full: true })),
  );
}
