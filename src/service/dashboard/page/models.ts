import { get, post, type Accuracy } from './api.js';
import { h, table, tag } from './elements.js';
import * as format from './format.js';
import { markdown } from './markdown.js';

interface Listed {
  name: string;
  version: string;
  current: boolean;
  serving: boolean;
}

/** What the training found when it held a version against the one in service; other metrics are not shown here. */
interface Metrics {
  verdict?: {
    promote: boolean;
    reason: string;
    compared?: {
      with: string;
      moves: number;
      champion_pinball: number;
      challenger_pinball: number;
      p_value: number;
    };
  };
}

/** The registered versions, how each did, their cards; promotes one. */
export async function modelsPage(): Promise<HTMLElement> {
  const [{ models }, accuracy] = await Promise.all([
    get<{ models: Listed[] }>('/v1/models'),
    get<Accuracy>('/v1/accuracy', { window: 'all', by: 'model' }),
  ]);
  const figures = new Map(accuracy.groups.map(({ key, figures: found }) => [key, found]));
  const card = h('div', { class: 'card', tabindex: -1 });
  const contest = h('div', {});
  const said = h('p', { role: 'status', class: 'small' });
  const show = async ({ name, version }: Listed): Promise<void> => {
    const { card: text, metrics } = await get<{ card: string; metrics: Metrics | null }>(
      `/v1/models/${encodeURIComponent(name)}/${encodeURIComponent(version)}`,
    );
    contest.replaceChildren(...contestOf(`${name}@${version}`, metrics?.verdict));
    card.replaceChildren(
      text.trim() === '' ? h('p', { class: 'muted' }, 'This version has no card.') : markdown(text),
    );
  };
  const promote = async ({ name, version }: Listed, button: HTMLButtonElement): Promise<void> => {
    if (!confirm(`Put ${name}@${version} in service? Requests go on being answered meanwhile.`)) return;
    button.disabled = true;
    said.textContent = 'Reading the history into the new version …';
    try {
      await post(`/v1/models/${encodeURIComponent(name)}/promote`, { version });
      dispatchEvent(new Event('hashchange'));
    } catch (error) {
      said.textContent = (error as Error).message;
      button.disabled = false;
    }
  };
  const button = (text: string, act: (pressed: HTMLButtonElement) => void): HTMLButtonElement => {
    const made = h('button', { class: 'quiet compact', type: 'button' }, text);
    made.addEventListener('click', () => act(made));
    return made;
  };
  const head = h(
    'div',
    { class: 'headline' },
    h('h1', {}, 'Models'),
    h('p', { class: 'lead' }, 'The registered versions. The one in service answers every request.'),
  );
  if (models.length === 0)
    return h(
      'div',
      {},
      head,
      h('p', { class: 'empty' }, 'None is registered. Train one with npx movecast train.'),
    );
  const newestFirst = models.toReversed();
  await show(newestFirst.find(({ serving }) => serving) ?? newestFirst[0]!);
  return h(
    'div',
    {},
    head,
    h(
      'section',
      { class: 'panel' },
      table(
        'Registered versions, newest first',
        [
          { title: 'Version' },
          { title: 'State' },
          { title: 'Scored moves', numeric: true },
          { title: 'Median error', numeric: true },
          { title: 'Mean error', numeric: true },
          { title: 'In 90 %', numeric: true },
          { title: '' },
        ],
        newestFirst.map((model) => {
          const found = figures.get(`${model.name}@${model.version}`);
          return [
            `${model.name}@${model.version}`,
            model.serving
              ? tag('in service', 'good')
              : model.current
                ? tag('promoted', 'good')
                : tag('registered'),
            found === undefined ? '–' : format.count(found.moves),
            found === undefined ? '–' : format.percent(found.median_ape_percent),
            found === undefined ? '–' : format.percent(found.mape_percent),
            found === undefined ? '–' : format.share(found.coverage[1]!.share),
            h(
              'span',
              { class: 'actions' },
              button('Card', () => void show(model).then(() => card.focus())),
              model.serving ? undefined : button('Promote', (pressed) => void promote(model, pressed)),
            ),
          ];
        }),
      ),
      said,
    ),
    h(
      'section',
      { class: 'panel spaced', 'aria-labelledby': 'contest' },
      h('h2', { id: 'contest' }, 'Champion against challenger'),
      contest,
    ),
    h('section', { class: 'panel spaced', 'aria-label': 'Model card' }, card),
  );
}

/** Why the training put this version in service, or did not. */
function contestOf(challenger: string, verdict: Metrics['verdict']): HTMLElement[] {
  if (verdict === undefined)
    return [h('p', { class: 'muted' }, `The training of ${challenger} wrote down no verdict.`)];
  const { promote, reason, compared } = verdict;
  const sentence = h(
    'p',
    {},
    tag(promote ? 'promoted' : 'not promoted', promote ? 'good' : 'plain'),
    ` ${challenger}: ${reason}.`,
  );
  if (compared === undefined) return [sentence];
  const { with: champion, moves, champion_pinball: theirs, challenger_pinball: ours, p_value: p } = compared;
  return [
    sentence,
    table(
      'Loss on the same moves, which neither had been trained on; less is better',
      [{ title: 'Version' }, { title: 'Moves', numeric: true }, { title: 'Pinball loss', numeric: true }],
      [
        [`${champion} (champion)`, format.count(moves), theirs.toFixed(3)],
        [`${challenger} (challenger)`, format.count(moves), ours.toFixed(3)],
      ],
    ),
    h(
      'p',
      { class: 'muted small' },
      `Equals would differ by at least so much in ${format.share(p)} of such contests (sign test).`,
    ),
  ];
}
