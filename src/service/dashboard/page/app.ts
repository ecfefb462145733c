import { ApiError, get, setToken, type Ready } from './api.js';
import { h } from './elements.js';
import { forecastPage } from './forecast.js';
import * as format from './format.js';
import { linksPage } from './links.js';
import { modelsPage } from './models.js';
import { movesPage } from './moves.js';
import { overviewPage } from './overview.js';
import { planPage } from './plan.js';
import { whatIfPage } from './what-if.js';

/** While the service still reads its history, it is asked again after so long. */
const ASK_AGAIN_MS = 500;

interface Page {
  path: string;
  title: string;
  make: (ready: Ready, query: URLSearchParams) => Promise<HTMLElement>;
}

const pages: readonly Page[] = [
  { path: '', title: 'Overview', make: overviewPage },
  { path: 'links', title: 'Links', make: linksPage },
  { path: 'moves', title: 'Moves', make: (_ready, query) => movesPage(query) },
  { path: 'forecast', title: 'Forecast', make: (_ready, query) => forecastPage(query) },
  { path: 'what-if', title: 'What if?', make: whatIfPage },
  { path: 'plan', title: 'Plan', make: planPage },
  { path: 'models', title: 'Models', make: modelsPage },
];

const main = document.querySelector('main')!;
let shown = 0;

/** Shows the page that the address names. A slower page that was asked for earlier does not replace it. */
async function show(): Promise<void> {
  shown += 1;
  const mine = shown;
  const [path = '', search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  const page = pages.find((candidate) => candidate.path === path) ?? pages[0]!;
  document.title = page.path === '' ? 'Movecast' : `${page.title} · Movecast`;
  document
    .getElementById('nav')!
    .replaceChildren(
      ...(pages.length > 1
        ? pages.map(({ path: to, title }) =>
            h('a', { href: `#/${to}`, 'aria-current': to === page.path ? 'page' : undefined }, title),
          )
        : []),
    );
  main.setAttribute('aria-busy', 'true');
  try {
    const ready = await readiness();
    document.getElementById('model')!.textContent =
      `model ${ready.model.name}@${ready.model.version} · ${format.plural(ready.learned_moves, 'move')} known`;
    const content = await page.make(ready, new URLSearchParams(search));
    if (mine === shown) main.replaceChildren(content);
  } catch (error) {
    if (mine === shown) main.replaceChildren(failure(error));
  }
  if (mine === shown) main.setAttribute('aria-busy', 'false');
}

async function readiness(): Promise<Ready> {
  for (;;) {
    try {
      return await get<Ready>('/readyz');
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 503) throw error;
      main.replaceChildren(h('p', { class: 'muted' }, 'Reading the history …'));
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }
}

function failure(error: unknown): HTMLElement {
  if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return tokenForm(error);
  const again = h('button', { class: 'quiet', type: 'button' }, 'Try again');
  again.addEventListener('click', () => void show());
  return h(
    'div',
    { class: 'headline', role: 'alert' },
    h('h1', {}, 'This page could not be loaded.'),
    h('p', { class: 'lead' }, error instanceof Error ? error.message : String(error)),
    h('div', {}, again),
  );
}

function tokenForm(error: ApiError): HTMLElement {
  const input = h('input', {
    type: 'password',
    id: 'token',
    required: true,
    autocomplete: 'current-password',
  });
  const form = h(
    'form',
    { class: 'fields' },
    h(
      'label',
      { class: 'field', for: 'token' },
      'Token',
      input,
      h('span', { class: 'hint' }, 'Kept in this tab only, until it is closed.'),
    ),
    h('div', { class: 'actions' }, h('button', { type: 'submit' }, 'Go on')),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    setToken(input.value.trim());
    void show();
  });
  return h(
    'div',
    { class: 'headline' },
    h('h1', {}, 'This service asks for a token.'),
    h('p', { class: 'lead' }, error.message),
    form,
  );
}

addEventListener('hashchange', () => {
  void show().then(() => main.focus({ preventScroll: true }));
  scrollTo(0, 0);
});
void show();
