import type { MoveInputs } from './move-inputs.js';

/** Names hold no control characters, so this can not occur in one: joined keys are unique. */
const SEPARATOR = '\u001f';

/** The ladder from the whole to the particular, on which a move's past is looked up. */
export const keyLevels = [
  'operation',
  'cluster',
  'family',
  'config',
  'instance',
  'source',
  'target',
  'pair',
  'stretch',
  'visit',
] as const;

/** Where each level stands in the array of keys. */
export const Level = {
  operation: 0,
  cluster: 1,
  family: 2,
  config: 3,
  instance: 4,
  source: 5,
  target: 6,
  pair: 7,
  stretch: 8,
  visit: 9,
} as const;

/**
 * The keys of a move, one a level, in the order of `keyLevels`:
 * family = how it is moved (cluster, operation, capabilities, with or without disk, how many at a time),
 * config = family and sizes, instance = instance and how many at a time, stretch = config on one node pair (the
 * moves that follow one another in one evacuation), visit = instance on one node pair.
 */
export function moveKeys(inputs: MoveInputs): string[] {
  const others = inputs.concurrentMoves > 0 ? inputs.concurrentMoves : 0;
  const cluster = inputs.cluster + SEPARATOR + inputs.operation;
  const family =
    cluster + SEPARATOR + inputs.capabilities + SEPARATOR + (inputs.diskMib > 0 ? 1 : 0) + SEPARATOR + others;
  const config = family + SEPARATOR + inputs.memoryMib + SEPARATOR + inputs.diskMib;
  const instance = cluster + SEPARATOR + inputs.instance + SEPARATOR + others;
  const source = cluster + SEPARATOR + inputs.sourceNode;
  const keys = [inputs.operation, cluster, family, config, instance, source, '', '', '', ''];
  setTarget(inputs, keys);
  return keys;
}

function setTarget(inputs: MoveInputs, keys: string[]): void {
  const nodes = SEPARATOR + inputs.sourceNode + SEPARATOR + inputs.targetNode;
  keys[Level.target] = keys[Level.cluster]! + SEPARATOR + inputs.targetNode;
  keys[Level.pair] = keys[Level.source]! + SEPARATOR + inputs.targetNode;
  keys[Level.stretch] = keys[Level.config]! + nodes;
  keys[Level.visit] = keys[Level.instance]! + nodes;
}

/**
 * The same for one instance after another going to many nodes: what did not change since the last call is the same
 * string as before, whose hash a map does not work out anew (10,000 pairs took 60 ms before, 44 ms since).
 */
export class MoveKeys {
  private last: MoveInputs | undefined;
  private keys: string[] = [];

  /** What `of` gave last. */
  get current(): string[] {
    return this.keys;
  }

  /** Valid until the next call; the same array as before where only the target has changed. */
  of(inputs: MoveInputs): string[] {
    const { last } = this;
    if (last !== undefined && isSameButTarget(inputs, last)) setTarget(inputs, this.keys);
    else this.keys = moveKeys(inputs);
    this.last = inputs;
    return this.keys;
  }
}

const isSameButTarget = (a: MoveInputs, b: MoveInputs): boolean =>
  a.instance === b.instance &&
  a.sourceNode === b.sourceNode &&
  a.cluster === b.cluster &&
  a.operation === b.operation &&
  a.capabilities === b.capabilities &&
  Object.is(a.memoryMib, b.memoryMib) &&
  Object.is(a.diskMib, b.diskMib) &&
  Object.is(a.concurrentMoves, b.concurrentMoves);
