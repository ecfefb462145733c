import { detectDelimiter, parseCsvRow } from '../csv.js';
import type { Finding, LogParser } from './source.js';

/** How the text of a CSV column becomes a value; any column that is not named is text. */
export type ColumnType = 'text' | 'number' | 'list' | 'object';

/** A table of records or samples, as JSONL or as CSV with the same names. */
export interface TableShape {
  kind: 'move' | 'link-sample' | 'instance-sample';
  /** What a row is called in a message, such as `a move record`. */
  rowName: string;
  columns: ReadonlyMap<string, ColumnType>;
  /** The first column that a CSV header lacks and must have. */
  missingColumn: (header: ReadonlySet<string>) => string | undefined;
}

/** A quote that is not closed within so many lines or characters is a stray one: its line alone is rejected. */
const LONGEST_QUOTED_LINES = 100;
const LONGEST_QUOTED_CHARACTERS = 1 << 16;

/** What a table's parser remembers between lines. */
interface TableState {
  format: 'unknown' | 'jsonl' | 'csv' | 'refused';
  delimiter: string;
  header: string[];
  /** Lines of a CSV record whose quote is still open, and the number of the first of them. */
  open: string[];
  openSince: number;
}

const NOTHING: readonly Finding[] = [];

/** A number as tables write it: no hexadecimal, no `NaN`, no thousands separators. */
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/**
 * Reads a table: JSON objects, one a line, or CSV with a header (RFC 4180; `;` and tabs are taken too). A row that is
 * broken is rejected alone: a stray quote does not swallow the rows after it.
 */
export class TableParser implements LogParser {
  readonly #shape: TableShape;
  readonly #state: TableState;
  /** Types of the columns of the header, in its order. */
  #types: ColumnType[];

  constructor(shape: TableShape, state?: unknown) {
    this.#shape = shape;
    this.#state =
      state === undefined
        ? { format: 'unknown', delimiter: ',', header: [], open: [], openSince: 0 }
        : structuredClone(state as TableState);
    this.#types = this.#columnTypes();
  }

  line(text: string, number: number): Iterable<Finding> {
    switch (this.#state.format) {
      case 'jsonl':
        return this.#jsonLine(text, number);
      case 'csv':
        return this.#csvLine(text, number);
      case 'refused':
        return NOTHING;
      case 'unknown':
        return this.#firstLine(text, number);
    }
  }

  *end(): Iterable<Finding> {
    while (this.#state.open.length > 0) yield* this.#giveUpFirstOpen('has a quote that is never closed');
  }

  state(): TableState {
    return structuredClone(this.#state);
  }

  #firstLine(text: string, number: number): Iterable<Finding> {
    const state = this.#state;
    if (text.trim() === '') return NOTHING;
    if (text.trimStart().startsWith('{')) {
      state.format = 'jsonl';
      return this.#jsonLine(text, number);
    }
    const { columns, rowName, missingColumn } = this.#shape;
    state.delimiter = detectDelimiter(text, new Set(columns.keys()));
    const row = parseCsvRow(text, state.delimiter);
    const header = row.kind === 'fields' ? row.fields.map((name) => name.trim()) : [];
    const names = new Set(header);
    const missing = missingColumn(names);
    let reason: string | undefined;
    if (!header.some((name) => columns.has(name))) {
      reason = `begins neither with a JSON object nor with a CSV header that has columns of ${rowName}`;
    } else if (missing !== undefined) {
      reason = `the CSV header lacks the column ${missing}, which ${rowName} must have; add it`;
    } else if (names.size < header.length) {
      const twice = header.find((name, index) => header.indexOf(name) !== index) ?? '';
      reason = `the CSV header has the column ${JSON.stringify(twice)} twice; rename one`;
    }
    if (reason !== undefined) {
      state.format = 'refused';
      return [{ kind: 'unreadable', line: number, reason }];
    }
    state.format = 'csv';
    state.header = header;
    this.#types = this.#columnTypes();
    return NOTHING;
  }

  #columnTypes(): ColumnType[] {
    return this.#state.header.map((name) => this.#shape.columns.get(name) ?? 'text');
  }

  #jsonLine(text: string, number: number): Iterable<Finding> {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      if (text.trim() === '') return NOTHING;
      const cut = text.trimEnd().endsWith('}') ? '' : '; it seems to be cut off';
      return [{ kind: 'reject', line: number, reason: `is not valid JSON${cut}`, text }];
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return [{ kind: 'reject', line: number, reason: 'is not a JSON object', text }];
    return [{ kind: this.#shape.kind, value: value as Record<string, unknown>, line: number, text }];
  }

  *#csvLine(text: string, number: number): Iterable<Finding> {
    const { open, delimiter, header } = this.#state;
    if (open.length === 0) {
      if (text.trim() === '') return;
      const row = parseCsvRow(text, delimiter);
      if (row.kind === 'fields') yield this.#row(row.fields, number, text);
      else if (row.kind === 'broken') yield { kind: 'reject', line: number, reason: row.reason, text };
      else {
        open.push(text);
        this.#state.openSince = number;
      }
      return;
    }
    open.push(text);
    const joined = open.join('\n');
    const row = parseCsvRow(joined, delimiter);
    if (row.kind === 'fields' && row.fields.length === header.length) {
      this.#state.open = [];
      yield this.#row(row.fields, this.#state.openSince, joined);
    } else if (
      row.kind !== 'open' ||
      open.length >= LONGEST_QUOTED_LINES ||
      joined.length >= LONGEST_QUOTED_CHARACTERS
    ) {
      yield* this.#giveUpFirstOpen('has a stray quote');
    }
  }

  /** Rejects the line that opened the quote, and reads the lines after it on their own. */
  *#giveUpFirstOpen(reason: string): Iterable<Finding> {
    const { open, openSince } = this.#state;
    this.#state.open = [];
    yield { kind: 'reject', line: openSince, reason, text: open[0]! };
    for (let i = 1; i < open.length; i++) yield* this.#csvLine(open[i]!, openSince + i);
  }

  #row(fields: readonly string[], line: number, text: string): Finding {
    const { header } = this.#state;
    if (fields.length !== header.length) {
      const reason = `has ${fields.length} columns where the header has ${header.length}`;
      return { kind: 'reject', line, reason, text };
    }
    const value: Record<string, unknown> = {};
    for (let i = 0; i < header.length; i++) {
      const field = fields[i]!;
      if (field !== '') value[header[i]!] = typedValue(field, this.#types[i]!);
    }
    return { kind: this.#shape.kind, value, line, text };
  }
}

/** The text itself where it does not fit the type: the schema then says what is wrong with it. */
function typedValue(text: string, type: ColumnType): unknown {
  switch (type) {
    case 'number': {
      const trimmed = text.trim();
      return NUMBER.test(trimmed) ? Number(trimmed) : text;
    }
    case 'list':
      return text.split('+').filter((item) => item !== '');
    case 'object':
      try {
        return JSON.parse(text) as unknown;
      } catch {
        return text;
      }
    case 'text':
      return text;
  }
}

/**
 * 0 to 1: how sure a text is a table with these columns: a JSON object whose keys, or a CSV header whose columns,
 * have all of `telling`.
 */
export function detectTable(
  head: string,
  telling: readonly (readonly string[])[],
  known: ReadonlySet<string>,
): number {
  const start = head.search(/\S/);
  if (start < 0) return 0;
  const end = head.indexOf('\n', start);
  const line = (end < 0 ? head.slice(start) : head.slice(start, end)).trim();
  let names: Set<string>;
  if (line.startsWith('{')) {
    try {
      names = new Set(Object.keys(JSON.parse(line) as object));
    } catch {
      return 0;
    }
  } else {
    const row = parseCsvRow(line, detectDelimiter(line, known));
    names = new Set(row.kind === 'fields' ? row.fields.map((name) => name.trim()) : []);
  }
  return telling.some((group) => group.every((name) => names.has(name))) ? 0.95 : 0;
}
