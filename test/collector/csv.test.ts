import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { detectDelimiter, parseCsvRow } from '../../src/collector/csv.js';

const written = (fields: readonly string[], delimiter: string): string =>
  fields
    .map((field) =>
      /["\r\n]/.test(field) || field.includes(delimiter) ? `"${field.replaceAll('"', '""')}"` : field,
    )
    .join(delimiter);

describe('parseCsvRow', () => {
  it('reads back what RFC 4180 writes', () => {
    const field = fc.string({
      unit: fc.constantFrom('a', '"', ',', ';', '\n', '\r', 'é', ' '),
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.array(field, { minLength: 1 }), fc.constantFrom(',', ';', '\t'), (fields, delimiter) => {
        expect(parseCsvRow(written(fields, delimiter), delimiter)).toEqual({ kind: 'fields', fields });
      }),
    );
  });

  it('waits for the end of an open quote', () => {
    expect(parseCsvRow('a,"b', ',')).toEqual({ kind: 'open' });
  });

  it.each([
    ['a,"b"c,d', 'has text after a closing quote; double the quotes inside of a quoted field'],
    ['a,b"c,d', 'has a quote inside of an unquoted field; quote the whole field'],
  ])('refuses %s', (text, reason) => {
    expect(parseCsvRow(text, ',')).toEqual({ kind: 'broken', reason });
  });
});

describe('detectDelimiter', () => {
  it.each([
    ['at,link', ','],
    ['at;link', ';'],
    ['at\tlink', '\t'],
    ['nothing', ','],
  ])('of %j is %j', (header, delimiter) => {
    expect(detectDelimiter(header, new Set(['at', 'link']))).toBe(delimiter);
  });
});
