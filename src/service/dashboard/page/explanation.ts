import type { MoveRequest } from '../../../domain/move-request.js';
import { predictAll } from './api.js';
import { h, table } from './elements.js';
import * as format from './format.js';

type Change = [text: string, request: MoveRequest];

/** The same request with one thing changed at a time: what each input does to the forecast. */
function changes(request: MoveRequest): Change[] {
  const found: Change[] = [];
  const scaled = (
    name: 'memory_mib' | 'disk_mib' | 'dirty_rate_mib_s' | 'link_mbps' | 'background_mbps',
    factor: number,
    text: string,
  ): void => {
    const value = request[name];
    if (value !== undefined && value > 0) found.push([text, { ...request, [name]: value * factor }]);
  };
  scaled('memory_mib', 2, 'twice the memory');
  scaled('memory_mib', 0.5, 'half the memory');
  scaled('disk_mib', 2, 'twice the disk');
  scaled('dirty_rate_mib_s', 2, 'twice the dirty rate');
  scaled('dirty_rate_mib_s', 0.5, 'half the dirty rate');
  scaled('link_mbps', 2, 'a link twice as fast');
  scaled('link_mbps', 0.5, 'a link half as fast');
  scaled('background_mbps', 0.5, 'half the other traffic');
  found.push([
    'two other moves on these nodes',
    { ...request, concurrent_moves: (request.concurrent_moves ?? 0) + 2 },
  ]);
  if (request.operation === undefined || request.operation === 'live_migration') {
    found.push([
      'with auto-converge',
      { ...request, capabilities: [...new Set([...(request.capabilities ?? []), 'auto-converge'])] },
    ]);
    found.push(['capped at 32 MiB/s', { ...request, max_bandwidth_mib_s: 32 }]);
  }
  found.push(['an instance never seen', { ...request, instance: `${request.instance}-never-seen` }]);
  found.push([
    'the way back',
    { ...request, source_node: request.target_node, target_node: request.source_node },
  ]);
  return found;
}

/** Changes smaller than this are not worth a line, in percent. */
const LEAST_CHANGE_PERCENT = 0.5;

/** A table of what would make the move faster or slower, the largest change first. */
export async function explanationOf(request: MoveRequest, medianSeconds: number): Promise<HTMLElement> {
  const tried = changes(request);
  const predictions = await predictAll(tried.map(([, changed]) => changed));
  const lines = predictions
    .flatMap((prediction, i) =>
      'error' in prediction
        ? []
        : [
            {
              text: tried[i]![0],
              p: prediction.duration_seconds,
              percent: 100 * (prediction.duration_seconds.p50 / medianSeconds - 1),
            },
          ],
    )
    .sort((a, b) => Math.abs(b.percent) - Math.abs(a.percent));
  const moved = lines.filter(({ percent }) => Math.abs(percent) >= LEAST_CHANGE_PERCENT);
  const unmoved = lines.filter((line) => !moved.includes(line)).map(({ text }) => text);
  return h(
    'div',
    {},
    h('h3', { class: 'spaced' }, 'What would change it'),
    moved.length === 0
      ? h('p', { class: 'muted small' }, 'None of the inputs that were varied moves this forecast.')
      : table(
          'One thing changed at a time',
          [
            { title: 'With' },
            { title: 'Predicted', numeric: true },
            { title: '80 % interval', numeric: true },
            { title: 'Change', numeric: true },
          ],
          moved.map(({ text, p, percent }) => [
            text,
            format.seconds(p.p50),
            h('span', { class: 'muted' }, `${format.seconds(p.p10)} to ${format.seconds(p.p90)}`),
            format.signedPercent(percent),
          ]),
        ),
    unmoved.length > 0
      ? h('p', { class: 'muted small' }, `No difference: ${unmoved.join(', ')}.`)
      : undefined,
  );
}
