/** Objects as logs hold them: strict JSON, JSON with `-nan`, Python's repr form, spread over lines, amid other text. */

/** Nested deeper, it is nothing that a hypervisor or an API printed. */
const DEEPEST = 64;

/**
 * Strict JSON, else what is nearly JSON: single quotes, `True`/`None`, `nan`/`-nan`/`inf` (read as null), trailing
 * commas, `u'…'` and `12L` of old Pythons, calls such as `datetime.datetime(…)` (read as null). Undefined when it is
 * none of these. O(length).
 *
 * @example
 * parseLooseJson("{'blocked': False, 'mbps': -nan}") // { blocked: false, mbps: null }
 */
export function parseLooseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    try {
      const reader = new LooseReader(text);
      const value = reader.value(0);
      return reader.atEnd() ? value : undefined;
    } catch {
      return undefined;
    }
  }
}

class NotJson extends Error {}

class LooseReader {
  private position = 0;
  private readonly word = /[A-Za-z_][\w.]*/y;
  private readonly number = /[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)L?/y;

  constructor(private readonly text: string) {}

  atEnd(): boolean {
    this.skipBlanks();
    return this.position >= this.text.length;
  }

  value(depth: number): unknown {
    if (depth > DEEPEST) throw new NotJson();
    this.skipBlanks();
    const c = this.text[this.position];
    if (c === '{') return this.object(depth);
    if (c === '[' || c === '(') return this.array(depth, c === '[' ? ']' : ')');
    if (c === '"' || c === "'") return this.string(c);
    return this.scalar(depth);
  }

  private object(depth: number): Record<string, unknown> {
    const result: Record<string, unknown> = {};
    this.position += 1;
    for (;;) {
      this.skipBlanks();
      if (this.take('}')) return result;
      const key = this.value(depth + 1);
      this.skipBlanks();
      if (!this.take(':')) throw new NotJson();
      const value = this.value(depth + 1);
      if (typeof key === 'string' && key !== '__proto__') result[key] = value;
      this.skipBlanks();
      if (!this.take(',')) {
        if (this.take('}')) return result;
        throw new NotJson();
      }
    }
  }

  private array(depth: number, close: string): unknown[] {
    const result: unknown[] = [];
    this.position += 1;
    for (;;) {
      this.skipBlanks();
      if (this.take(close)) return result;
      result.push(this.value(depth + 1));
      this.skipBlanks();
      if (!this.take(',')) {
        if (this.take(close)) return result;
        throw new NotJson();
      }
    }
  }

  private string(quote: string): string {
    let result = '';
    this.position += 1;
    for (;;) {
      const c = this.text[this.position];
      if (c === undefined) throw new NotJson();
      this.position += 1;
      if (c === quote) return result;
      if (c !== '\\') {
        result += c;
        continue;
      }
      const escaped = this.text[this.position] ?? '';
      this.position += 1;
      if (escaped === 'u' || escaped === 'x') {
        const digits = this.text.slice(this.position, this.position + (escaped === 'u' ? 4 : 2));
        if (!/^[0-9a-fA-F]+$/.test(digits)) throw new NotJson();
        result += String.fromCharCode(Number.parseInt(digits, 16));
        this.position += digits.length;
      } else result += { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }[escaped] ?? escaped;
    }
  }

  private scalar(depth: number): unknown {
    this.number.lastIndex = this.position;
    const number = this.number.exec(this.text);
    if (number !== null) {
      this.position += number[0].length;
      return Number(number[0].replace(/L$/, ''));
    }
    if (this.text[this.position] === '-' || this.text[this.position] === '+') this.position += 1;
    this.word.lastIndex = this.position;
    const word = this.word.exec(this.text)?.[0];
    if (word === undefined) throw new NotJson();
    this.position += word.length;
    const next = this.text[this.position];
    if ((word === 'u' || word === 'b' || word === 'r') && (next === '"' || next === "'"))
      return this.string(next);
    if (next === '(') {
      this.array(depth + 1, ')');
      return null;
    }
    switch (word.toLowerCase()) {
      case 'true':
        return true;
      case 'false':
        return false;
      case 'none':
      case 'null':
      case 'nan':
      case 'inf':
      case 'infinity':
      case 'undefined':
        return null;
      default:
        throw new NotJson();
    }
  }

  private take(c: string): boolean {
    if (this.text[this.position] !== c) return false;
    this.position += 1;
    return true;
  }

  private skipBlanks(): void {
    for (;;) {
      const c = this.text.charCodeAt(this.position);
      if (c !== 0x20 && c !== 0x09 && c !== 0x0a && c !== 0x0d) return;
      this.position += 1;
    }
  }
}

/** What an `ObjectScanner` found in a line. */
export type Scanned =
  | { kind: 'object'; text: string; startLine: number; before: string }
  | { kind: 'broken'; text: string; startLine: number; reason: string }
  | { kind: 'text'; text: string };

/** A single object is never longer than this; the largest known, a whole run's replies in one, are a tenth of it. */
const LONGEST_OBJECT = 4 << 20;
/** Of a broken object so much goes to the rejects. */
const SHOWN = 2000;

/** What a scanner remembers between lines. */
export interface ScannerState {
  lines: string[];
  length: number;
  depth: number;
  startLine: number;
  before: string;
}

/**
 * Finds `{ … }` objects in lines, one after another, over several lines, or amid other text. Lists around objects are
 * looked into, so that each element comes out alone. O(length of the line).
 */
export class ObjectScanner {
  private open: ScannerState | undefined;

  constructor(state?: unknown) {
    const open = state as ScannerState | undefined;
    if (open !== undefined && open !== null && Array.isArray(open.lines))
      this.open = { ...open, lines: [...open.lines] };
  }

  state(): ScannerState | undefined {
    return this.open;
  }

  /** Everything that ends on this line, in order. */
  line(line: string, number: number): Scanned[] {
    const found: Scanned[] = [];
    if (this.open !== undefined && startsAnew(line, this.open)) this.giveUp(found, 'the object is cut off');
    let from = 0;
    while (from <= line.length) {
      if (this.open === undefined) {
        const start = objectStart(line, from);
        if (start < 0) {
          const text = line.slice(from);
          if (from === 0 || text.trim() !== '') found.push({ kind: 'text', text });
          break;
        }
        this.open = { lines: [], length: 0, depth: 0, startLine: number, before: line.slice(from, start) };
        from = start;
      }
      const end = this.scan(line, from);
      const piece = line.slice(from, end < 0 ? undefined : end);
      this.open.lines.push(piece);
      this.open.length += piece.length + 1;
      if (end === BROKEN) {
        this.giveUp(found, 'the object is cut off within a text');
        break;
      }
      if (this.open.length > LONGEST_OBJECT) {
        this.giveUp(found, `the object is longer than ${LONGEST_OBJECT} characters`);
        break;
      }
      if (end < 0) break;
      const { lines, startLine, before } = this.open;
      found.push({ kind: 'object', text: lines.join('\n'), startLine, before });
      this.open = undefined;
      from = end;
      if (line.slice(from).trim() === '') break;
    }
    return found;
  }

  /** What is still open when the text ends. */
  end(): Scanned[] {
    const found: Scanned[] = [];
    if (this.open !== undefined) this.giveUp(found, 'the text ends within the object');
    return found;
  }

  private giveUp(found: Scanned[], reason: string): void {
    const { lines, startLine } = this.open!;
    found.push({ kind: 'broken', text: lines.join('\n').slice(0, SHOWN), startLine, reason });
    this.open = undefined;
  }

  /** Index after the closing brace, OPEN when the object goes on, BROKEN when a string does not end on its line. */
  private scan(line: string, from: number): number {
    const open = this.open!;
    let quote = 0;
    for (let i = from; i < line.length; i += 1) {
      const c = line.charCodeAt(i);
      if (quote !== 0) {
        if (c === 0x5c) i += 1;
        else if (c === quote) quote = 0;
      } else if (c === 0x22 || c === 0x27) quote = c;
      else if (c === 0x7b) open.depth += 1;
      else if (c === 0x7d) {
        open.depth -= 1;
        if (open.depth === 0) return i + 1;
      }
    }
    return quote === 0 ? OPEN : BROKEN;
  }
}

const OPEN = -1;
const BROKEN = -2;

/** An object begins with a quoted key, with `}`, or ends its line: other braces are just text. */
function objectStart(line: string, from: number): number {
  for (let at = line.indexOf('{', from); at >= 0; at = line.indexOf('{', at + 1)) {
    let next = at + 1;
    while (line.charCodeAt(next) === 0x20 || line.charCodeAt(next) === 0x09) next += 1;
    const c = line[next];
    if (c === '"' || c === "'" || c === '}') return at;
    if (c === undefined && line.slice(0, at).trim().replace(/^[[,]/, '') === '') return at;
    if (c === 'u' && (line[next + 1] === "'" || line[next + 1] === '"')) return at;
  }
  return -1;
}

/** A new object at the very start of a line, while the open one waits for something else than a value: cut off. */
function startsAnew(line: string, open: ScannerState): boolean {
  if (!/^\{\s*["'}]/.test(line)) return false;
  const last = open.lines.at(-1)?.trimEnd() ?? '';
  return last !== '' && !/[,[:{(]$/.test(last);
}
