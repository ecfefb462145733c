import { UserError } from '../domain/errors.js';
import type { Plan } from '../domain/plan.js';
import { nodesOf } from './node-locks.js';

/** Whether a plan that someone may have changed can be played at all: what it says of its moves has to hold together. */

/** How a plan is run: a move starts when what it waits for is done, or set after set as hbal's -X does. */
export type PlayMode = 'schedule' | 'jobsets';

/** Throws a `UserError` that names the move at fault. O(moves + what they wait for). */
export function refuseUnplayable({ moves, jobsets }: Plan, mode: PlayMode, file: string): void {
  const refuse = (fault: string): never => {
    throw new UserError('input-invalid', `${file}: ${fault}; give the plan as it was printed`);
  };
  const misnumbered = moves.findIndex(({ index }, m) => index !== m);
  if (misnumbered >= 0) refuse(`the move at place ${misnumbered} has the index ${moves[misnumbered]!.index}`);
  const outside = [...moves.flatMap(({ after }) => after), ...jobsets.flat()].find((m) => m >= moves.length);
  if (outside !== undefined)
    refuse(
      `speaks of a move ${outside}, but ${moves.length === 0 ? 'it has none' : `its moves are 0 to ${moves.length - 1}`}`,
    );
  const empty = moves.findIndex(({ steps }) => steps.length === 0);
  if (empty >= 0) refuse(`move ${empty} has no steps`);
  const stranger = moves.findIndex(
    (move) => move.releases_early !== undefined && !nodesOf(move).includes(move.releases_early),
  );
  if (stranger >= 0)
    refuse(`move ${stranger} releases ${moves[stranger]!.releases_early!} early, which is no node of it`);
  const circle = circleIn(moves.map(({ after }) => after));
  if (circle.length === 1) refuse(`move ${circle[0]!} waits for itself`);
  if (circle.length > 1) refuse(`moves ${circle.join(', ')} wait for each other in a circle`);
  if (mode === 'schedule') return;
  const times = new Int32Array(moves.length);
  for (const m of jobsets.flat()) times[m]! += 1;
  const odd = times.findIndex((count) => count !== 1);
  if (odd >= 0)
    refuse(`move ${odd} is in ${times[odd] === 0 ? 'no job set' : `job sets ${times[odd]!} times`}`);
}

/** Moves of which each waits for the next and the last for the first; none where there is no circle. */
function circleIn(after: readonly (readonly number[])[]): number[] {
  const missing = after.map((list) => new Set(list).size);
  const waiting = after.map((): number[] => []);
  after.forEach((list, m) => {
    for (const w of new Set(list)) waiting[w]!.push(m);
  });
  const free = [...after.keys()].filter((m) => missing[m] === 0);
  for (let next = free.pop(); next !== undefined; next = free.pop())
    for (const m of waiting[next]!) if (--missing[m]! === 0) free.push(m);
  // Whoever is left waits for another one that is left.
  const path: number[] = [];
  let m = missing.findIndex((count) => count > 0);
  if (m < 0) return path;
  while (!path.includes(m)) {
    path.push(m);
    m = after[m]!.find((w) => missing[w]! > 0)!;
  }
  return path.slice(path.indexOf(m));
}
