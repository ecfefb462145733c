import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { impossible } from '../../../src/collector/sources/finished-move.js';
import { logSources } from '../../../src/collector/sources/registry.js';
import { fixture, fixtureNames } from './fixtures.js';
import { movesOf, runSource, runWithRestarts } from './run-source.js';

/** Processor time that a text of a few kilobytes may take: a thousand times what it does. */
const MOST_MS = 1000;

/** One change to a text: where (a share of its length), what is taken out, what comes in. */
const change = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  cut: fc.nat(40),
  insert: fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom(
      '\n',
      '{',
      '}',
      '"',
      "'",
      '-nan',
      '-1',
      '0',
      '1e308',
      '99999999999999999999',
      '00:00:00',
      '\u0000',
      '__proto__',
      'constructor',
    ),
    fc
      .tuple(fc.constantFrom('9', ' ', '{', '(', '-', '=', 'a'), fc.integer({ min: 100, max: 5000 }))
      .map(([c, n]) => c.repeat(n)),
  ),
});

function changed(text: string, changes: readonly { at: number; cut: number; insert: string }[]): string {
  return changes.reduce((now, { at, cut, insert }) => {
    const index = Math.floor(at * now.length);
    return now.slice(0, index) + insert + now.slice(index + cut);
  }, text);
}

const sources = logSources.filter(({ name }) =>
  ['ganeti-jobs', 'qmp', 'libvirt', 'nova', 'proxmox', 'drbd'].includes(name),
);

describe('damaged logs', () => {
  it.each(sources)(
    'of $name never stop the parser, take long, or give a duration that cannot be true',
    (source) => {
      const texts = fixtureNames(source.name).map((name) => fixture(source.name, name));
      fc.assert(
        fc.property(
          fc.constantFrom(...texts),
          fc.array(change, { minLength: 1, maxLength: 8 }),
          (text, changes) => {
            const damaged = changed(text, changes);
            const before = process.cpuUsage();
            const findings = runSource(source, damaged);
            const { user, system } = process.cpuUsage(before);
            expect((user + system) / 1000).toBeLessThan(MOST_MS);
            for (const move of movesOf(findings))
              expect(impossible(move['duration_seconds'] as number)).toBeUndefined();
            expect(findings.every(({ line }) => Number.isInteger(line) && line >= 1)).toBe(true);
          },
        ),
        { numRuns: 150 },
      );
    },
  );

  it.each(sources.filter(({ unit }) => unit === 'line'))('of $name give the same over restarts', (source) => {
    const texts = fixtureNames(source.name).map((name) => fixture(source.name, name));
    fc.assert(
      fc.property(fc.constantFrom(...texts), fc.array(change, { maxLength: 4 }), (text, changes) => {
        const damaged = changed(text, changes);
        expect(runWithRestarts(source, damaged)).toEqual(runSource(source, damaged));
      }),
      { numRuns: 40 },
    );
  });

  it.each(sources)('$name is surest of its own logs', (source) => {
    // A snapshot beside the queue and an answer with nothing in it are nobody's.
    const own = fixtureNames(source.name)
      .map((name) => ({ name, text: fixture(source.name, name) }))
      .filter(({ text }) => source.detect(text, 'a.log') > 0);
    const surer = own.flatMap(({ name, text }) =>
      sources
        .filter((other) => other !== source && other.detect(text, 'a.log') >= source.detect(text, 'a.log'))
        .map((other) => [name, other.name]),
    );
    expect(surer).toEqual([]);
  });
});
