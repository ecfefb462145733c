import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { errorCodes, systemErrorSentence, UserError } from '../../src/domain/errors.js';

describe('errors', () => {
  it('docs/errors.md lists the same codes with the same numbers and meanings', () => {
    const rows = [
      ...readFileSync('docs/errors.md', 'utf8').matchAll(
        /^\| `([a-z-]+)` +\| (\d) +\| (\d+) +\| (.+?) +\|$/gm,
      ),
    ];
    const documented = Object.fromEntries(
      rows.map(([, code, exitCode, httpStatus, meaning]) => [
        code,
        { exitCode: Number(exitCode), httpStatus: Number(httpStatus), meaning },
      ]),
    );
    expect(documented).toEqual(errorCodes);
  });

  it('carry what the command line and HTTP answer', () => {
    const error = new UserError('too-large', 'the body is over 16 MiB; send fewer requests', 'requests');
    expect([error.exitCode, error.httpStatus, error.field]).toEqual([2, 413, 'requests']);
  });

  it('say a system error in words', () => {
    expect(systemErrorSentence(Object.assign(new Error('x'), { code: 'ENOENT' }), 'moves.csv')).toBe(
      'moves.csv: no such file or folder',
    );
  });
});
