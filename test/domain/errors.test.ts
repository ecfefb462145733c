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

  it.each([
    [
      'a code that is known',
      { code: 'ELOOP', message: "ELOOP: …, open 'x'" },
      'x: its links lead in a circle',
    ],
    [
      'one that only the system has words for',
      { code: 'EILSEQ', message: "EILSEQ: illegal byte sequence, open 'x'" },
      'x: illegal byte sequence',
    ],
    ['words without a code', new Error('out of luck'), 'x: out of luck'],
    [
      "a library's code with its words",
      { code: 'SQLITE_IOERR', message: 'disk I/O error' },
      'x: disk I/O error',
    ],
    ['a code and nothing else', { code: 'EWEIRD' }, 'x: an error (EWEIRD)'],
    ['no error at all', 'odd', 'x: an error (odd)'],
  ])('say %s in words', (_case, error, sentence) => {
    expect(systemErrorSentence(error, 'x')).toBe(sentence);
  });

  it('has words of its own for every code that files and connections usually meet', () => {
    const met =
      'ENOENT EACCES EISDIR ENOTDIR ELOOP ENAMETOOLONG ENOSPC EROFS EBUSY EIO ECONNREFUSED EAI_AGAIN'.split(
        ' ',
      );
    for (const code of met) expect(systemErrorSentence({ code }, 'x')).not.toMatch(/[A-Z]{3}/);
  });
});
