import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LineReader, type LineBlock } from '../../src/collector/line-reader.js';

interface Read {
  lines: string[];
  faults: { number: number; reason: string; text: string }[];
  reader: LineReader;
}

function read(
  chunks: readonly Buffer[],
  options: Partial<ConstructorParameters<typeof LineReader>[0]> = {},
): Read {
  const reader = new LineReader({ longestLineBytes: 1000, ...options });
  const lines: string[] = [];
  const faults: Read['faults'] = [];
  const take = (block: LineBlock): void => {
    block.lines.forEach((line, index) => {
      const fault = block.faults?.get(index);
      if (fault !== undefined) faults.push({ number: block.firstNumber + index, ...fault });
      else lines.push(line);
    });
  };
  for (const chunk of chunks) {
    const copy = Buffer.from(chunk);
    take(reader.push(copy));
    copy.fill(0x58); // a chunk's memory is used again
  }
  take(reader.end());
  return { lines, faults, reader };
}

const cutAt = (bytes: Buffer, places: readonly number[]): Buffer[] => {
  const cuts = [...new Set(places.map((place) => place % (bytes.length + 1)))].toSorted((a, b) => a - b);
  return [0, ...cuts].map((from, index) => bytes.subarray(from, cuts[index] ?? bytes.length));
};

describe('LineReader', () => {
  it('gives the same lines wherever the bytes are cut', () => {
    const line = fc
      .string({ unit: 'grapheme', maxLength: 30 })
      .map((text) => text.replace(/[\r\n\0\ufeff]/g, ''));
    fc.assert(
      fc.property(
        fc.array(line),
        fc.constantFrom('\n', '\r\n'),
        fc.array(fc.nat(2000)),
        (lines, end, places) => {
          const bytes = Buffer.from(lines.map((text) => text + end).join(''));
          const { lines: found, reader } = read(cutAt(bytes, places));
          expect(found).toEqual(lines);
          expect(reader.offset).toBe(bytes.length);
          expect(reader.nextNumber).toBe(lines.length + 1);
        },
      ),
    );
  });

  it('gives a last line without an end, and says so', () => {
    const reader = new LineReader({ longestLineBytes: 100 });
    expect(reader.push(Buffer.from('a\nb'))).toMatchObject({
      lines: ['a'],
      endOffset: 2,
      unterminated: false,
    });
    expect(reader.waitingBytes).toBe(1);
    expect(reader.end()).toMatchObject({ lines: ['b'], firstNumber: 2, endOffset: 3, unterminated: true });
  });

  it('strips a byte order mark from the first line alone', () => {
    expect(read([Buffer.from('\ufeffa\n\ufeffb\n')]).lines).toEqual(['a', '\ufeffb']);
  });

  it('strips the zeros that a truncated log begins with', () => {
    expect(read([Buffer.alloc(500), Buffer.from('\0\0after\nnext\n')]).lines).toEqual(['after', 'next']);
  });

  it('reads Latin-1 where a line is not UTF-8, and UTF-8 in the lines around it', () => {
    const bytes = Buffer.concat([Buffer.from('é1\n'), Buffer.from('é2\n', 'latin1'), Buffer.from('é3\n')]);
    expect(read([bytes]).lines).toEqual(['é1', 'é2', 'é3']);
  });

  it('rejects a line that is not UTF-8 where that is asked for', () => {
    const bytes = Buffer.concat([Buffer.from('é1\n'), Buffer.from('é2\n', 'latin1'), Buffer.from('é3\n')]);
    const { lines, faults } = read([bytes], { strictUtf8: true });
    expect(lines).toEqual(['é1', 'é3']);
    expect(faults).toEqual([{ number: 2, reason: 'is not UTF-8 text; save the file as UTF-8', text: 'é2' }]);
  });

  it('rejects an overlong line wherever it is cut, and keeps the lines around it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1001, max: 5000 }), fc.array(fc.nat(6000)), (length, places) => {
        const bytes = Buffer.from(`before\n${'x'.repeat(length)}\nafter\n`);
        const { lines, faults, reader } = read(cutAt(bytes, places));
        expect(lines).toEqual(['before', 'after']);
        expect(faults).toEqual([
          {
            number: 2,
            reason: `the line has ${length} bytes, more than the 1000 that a line may have`,
            text: 'x'.repeat(200),
          },
        ]);
        expect(reader.offset).toBe(bytes.length);
      }),
    );
  });

  it('reads past 2 GB of one line without holding it', () => {
    const reader = new LineReader({ longestLineBytes: 1 << 20 });
    const chunk = Buffer.alloc(1 << 20, 0x61);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    for (let i = 0; i < 2048; i++) {
      expect(reader.push(chunk).lines).toHaveLength(0);
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    const block = reader.push(Buffer.from('\ngood\n'));
    expect(block.lines).toEqual(['', 'good']);
    expect(block.faults?.get(0)?.reason).toBe(
      'the line has 2147483648 bytes, more than the 1048576 that a line may have',
    );
    expect(most).toBeLessThan(16 << 20);
  });

  it('goes on at an offset and a line number', () => {
    const { lines, reader } = read([Buffer.from('c\nd\n')], { startOffset: 4, startNumber: 3 });
    expect(lines).toEqual(['c', 'd']);
    expect(reader.offset).toBe(8);
    expect(reader.nextNumber).toBe(5);
  });
});
