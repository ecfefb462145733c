/** What one record of a CSV text is: its fields, an open quote that goes on in the next line, or broken. */
export type CsvRow =
  { kind: 'fields'; fields: string[] } | { kind: 'open' } | { kind: 'broken'; reason: string };

/**
 * One record of RFC 4180: fields between `delimiter`, a field in double quotes may hold the delimiter, line ends and
 * doubled quotes. O(length).
 *
 * @example
 * parseCsvRow('a,"b ""c"", d",', ',').fields // ['a', 'b "c", d', '']
 */
export function parseCsvRow(text: string, delimiter: string): CsvRow {
  if (!text.includes('"')) return { kind: 'fields', fields: text.split(delimiter) };
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] === '"') {
      let field = '';
      let from = at + 1;
      for (;;) {
        const quote = text.indexOf('"', from);
        if (quote < 0) return { kind: 'open' };
        field += text.slice(from, quote);
        if (text[quote + 1] !== '"') {
          at = quote + 1;
          break;
        }
        field += '"';
        from = quote + 2;
      }
      fields.push(field);
      if (at === text.length) return { kind: 'fields', fields };
      if (text[at] !== delimiter)
        return {
          kind: 'broken',
          reason: 'has text after a closing quote; double the quotes inside of a quoted field',
        };
      at++;
    } else {
      const end = text.indexOf(delimiter, at);
      const field = end < 0 ? text.slice(at) : text.slice(at, end);
      if (field.includes('"'))
        return { kind: 'broken', reason: 'has a quote inside of an unquoted field; quote the whole field' };
      fields.push(field);
      if (end < 0) return { kind: 'fields', fields };
      at = end + 1;
    }
  }
}

/** The delimiters that tables come with: RFC 4180's, a spreadsheet's in half of Europe, a database dump's. */
const DELIMITERS = [',', ';', '\t'] as const;

/** The delimiter of a header line: the one that finds the most of the `known` columns. */
export function detectDelimiter(header: string, known: ReadonlySet<string>): string {
  let best: string = DELIMITERS[0];
  let most = 0;
  for (const delimiter of DELIMITERS) {
    const row = parseCsvRow(header, delimiter);
    const found = row.kind === 'fields' ? row.fields.filter((name) => known.has(name.trim())).length : 0;
    if (found > most) {
      best = delimiter;
      most = found;
    }
  }
  return best;
}
