import { isAscii, isUtf8 } from 'node:buffer';

/** Some lines of a text, as many as one chunk of its bytes held. */
export interface LineBlock {
  /** Without their ends. A line with a fault stands as an empty string. */
  lines: string[];
  /** 1-based number of the first of them. */
  firstNumber: number;
  /** Lines that could not be decoded, by index in `lines`. */
  faults: ReadonlyMap<number, LineFault> | undefined;
  /** Bytes from the beginning of the text to the end of the last line. */
  endOffset: number;
  /** True when the last line has no end: the text stopped in the middle, or its writer leaves the last newline out. */
  unterminated: boolean;
}

export interface LineFault {
  reason: string;
  /** The line's beginning. */
  text: string;
}

export interface LineReaderOptions {
  /** A longer line becomes a fault, and is never held. */
  longestLineBytes: number;
  /** A line that is not UTF-8 becomes a fault; else it is decoded as Latin-1, where every byte has a meaning. */
  strictUtf8?: boolean;
  /** Where the chunks begin, when not at the beginning of the text. */
  startOffset?: number;
  startNumber?: number;
}

/** So many bytes before the end of the last whole line tell later whether a text is still the one that was read. */
const TAIL_BYTES = 256;

/** So much of an overlong line is shown in its fault. */
const SHOWN_BYTES = 200;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const NUL = 0x00;

/**
 * Bytes in, lines out. Holds at most one unfinished line, of at most `longestLineBytes`.
 * Strips a byte order mark, `\r\n`, and the NULs that a truncated log begins with. O(bytes).
 */
export class LineReader {
  readonly #options: LineReaderOptions;
  /** The unfinished line, in pieces. */
  #pieces: Buffer[] = [];
  #heldBytes = 0;
  /** Bytes of the unfinished line that were dropped because it is too long. */
  #droppedBytes = 0;
  #nextNumber: number;
  #offset: number;
  #tail: Buffer = Buffer.alloc(0);

  constructor(options: LineReaderOptions) {
    this.#options = options;
    this.#nextNumber = options.startNumber ?? 1;
    this.#offset = options.startOffset ?? 0;
  }

  /** Bytes from the beginning of the text to the end of the last whole line. */
  get offset(): number {
    return this.#offset;
  }

  /** The last bytes before `offset`, up to `TAIL_BYTES` of them. */
  get tail(): Buffer {
    return this.#tail;
  }

  /** 1-based number of the line that comes next. */
  get nextNumber(): number {
    return this.#nextNumber;
  }

  /** Bytes that wait for the end of their line. */
  get waitingBytes(): number {
    return this.#heldBytes + this.#droppedBytes;
  }

  /** The lines that `chunk` finishes. The chunk's memory may be used again afterwards. */
  push(chunk: Buffer): LineBlock {
    const lastNewline = chunk.lastIndexOf(NEWLINE);
    const block = this.#emptyBlock();
    if (lastNewline < 0) {
      this.#hold(chunk);
      return block;
    }
    this.#tail = this.#tailOf(chunk.subarray(0, lastNewline + 1));
    let start = 0;
    if (this.waitingBytes > 0) {
      const end = chunk.indexOf(NEWLINE);
      this.#hold(chunk.subarray(0, end));
      this.#finishHeld(block, 1);
      start = end + 1;
    }
    const whole = chunk.subarray(start, lastNewline + 1);
    const encoding: Encoding = isAscii(whole) ? 'latin1' : isUtf8(whole) ? 'utf8' : 'unknown';
    while (start <= lastNewline) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end - start > this.#options.longestLineBytes) {
        this.#addFault(block, this.#overlong(end - start, chunk.subarray(start, end)));
      } else this.#addLine(block, chunk.subarray(start, end), encoding);
      this.#offset += end + 1 - start;
      start = end + 1;
    }
    if (start < chunk.length) this.#hold(chunk.subarray(start));
    block.endOffset = this.#offset;
    return block;
  }

  /** The last line when it has no end; an empty block otherwise. */
  end(): LineBlock {
    const block = this.#emptyBlock();
    if (this.waitingBytes === 0) return block;
    this.#finishHeld(block, 0);
    block.unterminated = true;
    return block;
  }

  #tailOf(bytes: Buffer): Buffer {
    if (bytes.length >= TAIL_BYTES) return Buffer.from(bytes.subarray(-TAIL_BYTES));
    if (this.#droppedBytes > 0) return Buffer.from(bytes);
    return Buffer.from(Buffer.concat([this.#tail, ...this.#pieces, bytes]).subarray(-TAIL_BYTES));
  }

  #emptyBlock(): LineBlock {
    return {
      lines: [],
      firstNumber: this.#nextNumber,
      faults: undefined,
      endOffset: this.#offset,
      unterminated: false,
    };
  }

  #hold(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#droppedBytes === 0 && this.#heldBytes + bytes.length <= this.#options.longestLineBytes) {
      this.#pieces.push(Buffer.from(bytes));
      this.#heldBytes += bytes.length;
      return;
    }
    if (this.#droppedBytes === 0) {
      const head = Buffer.from(
        Buffer.concat([...this.#pieces, bytes.subarray(0, SHOWN_BYTES)]).subarray(0, SHOWN_BYTES),
      );
      this.#droppedBytes = this.#heldBytes + bytes.length - head.length;
      this.#pieces = [head];
      this.#heldBytes = head.length;
    } else this.#droppedBytes += bytes.length;
  }

  #finishHeld(block: LineBlock, newlineBytes: number): void {
    const bytes = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    const length = this.waitingBytes;
    if (this.#droppedBytes > 0) this.#addFault(block, this.#overlong(length, bytes));
    else this.#addLine(block, bytes, isUtf8(bytes) ? 'utf8' : 'unknown');
    this.#offset += length + newlineBytes;
    block.endOffset = this.#offset;
    this.#pieces = [];
    this.#heldBytes = 0;
    this.#droppedBytes = 0;
  }

  #addLine(block: LineBlock, bytes: Buffer, encoding: Encoding): void {
    let end = bytes.length;
    if (end > 0 && bytes[end - 1] === CARRIAGE_RETURN) end--;
    let start = 0;
    while (start < end && bytes[start] === NUL) start++;
    if (
      this.#nextNumber === 1 &&
      bytes[start] === 0xef &&
      bytes[start + 1] === 0xbb &&
      bytes[start + 2] === 0xbf
    )
      start += 3;
    let known = encoding;
    if (known === 'unknown' && isUtf8(bytes)) known = 'utf8';
    if (known === 'unknown' && this.#options.strictUtf8 === true) {
      this.#addFault(block, {
        reason: 'is not UTF-8 text; save the file as UTF-8',
        text: bytes.subarray(start, Math.min(end, start + SHOWN_BYTES)).toString('latin1'),
      });
      return;
    }
    block.lines.push(bytes.toString(known === 'utf8' ? 'utf8' : 'latin1', start, end));
    this.#nextNumber++;
  }

  #addFault(block: LineBlock, fault: LineFault): void {
    const faults = (block.faults as Map<number, LineFault> | undefined) ?? new Map<number, LineFault>();
    faults.set(block.lines.length, fault);
    block.faults = faults;
    block.lines.push('');
    this.#nextNumber++;
  }

  #overlong(length: number, bytes: Buffer): LineFault {
    return {
      reason: `the line has ${length} bytes, more than the ${this.#options.longestLineBytes} that a line may have`,
      text: bytes.subarray(0, SHOWN_BYTES).toString('latin1'),
    };
  }
}

type Encoding = 'latin1' | 'utf8' | 'unknown';
