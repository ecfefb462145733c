import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { STANDARD_INPUT } from './input-files.js';
import { DETECTION_BYTES } from './sources/source.js';

/** Read at once: large enough that the system calls do not show, small enough that memory stays flat. */
const CHUNK_BYTES = 1 << 18;

/** So many first bytes tell one log from another; logs write the date and the host into them. */
const MARK_HEAD_BYTES = 1024;

/** First bytes of packed files that are not gzip, and what unpacks them. */
const PACKED: readonly { magic: readonly number[]; name: string; tool: string }[] = [
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], name: 'xz', tool: 'xz -dc' },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], name: 'zstd', tool: 'zstd -dc' },
  { magic: [0x42, 0x5a, 0x68], name: 'bzip2', tool: 'bzip2 -dc' },
  { magic: [0x50, 0x4b, 0x03, 0x04], name: 'zip', tool: 'unzip -p' },
];

/**
 * A place in a text, by what stands at its beginning and just before the place: found again after the file was
 * renamed, copied or packed, and not found in another text of the same name.
 */
export interface TextMark {
  offset: number;
  headBytes: number;
  headHash: string;
  tailBytes: number;
  tailHash: string;
}

/** A text to be read: unpacked, as UTF-8 or an older encoding. */
export interface TextInput {
  readonly path: string;
  /** The first `DETECTION_BYTES`, decoded. */
  readonly head: string;
  /** Device and inode of a regular file. */
  readonly inode: string | undefined;
  /** When it was last written; undefined for standard input. */
  readonly modifiedMs: number | undefined;
  /** The mark of the place at `offset`, whose last bytes before it are `tail`. */
  mark(offset: number, tail: Buffer): TextMark;
  /** Goes to the place; false when it is not in this text, which must then be opened anew. Before `chunks`. */
  seek(mark: TextMark): Promise<boolean>;
  /** Whether the text still has the place in it, and nothing that was read is gone: it was not truncated. */
  holds(mark: TextMark | undefined): Promise<boolean>;
  /**
   * The bytes from the present place to the present end. A chunk is valid until the next one is asked for. Of a
   * regular file that is not packed it may be asked again, for what was appended.
   */
  chunks(): AsyncGenerator<Buffer>;
  /** Bytes of the file that were read so far, packed as they are. */
  readBytes(): number;
  /** Size and time of the file now, to see whether it was written while it was read. */
  version(): Promise<string>;
  close(): Promise<void>;
}

/** A packed text is cut off or damaged: what was read up to there is good. */
export class DamagedTextError extends Error {}

/**
 * Opens a file or standard input. Gzip is known by its first bytes and unpacked, UTF-16 (with its mark) is decoded.
 *
 * @throws UserError `input-unreadable` when it cannot be opened, is binary, or packed in another way.
 */
export async function openText(path: string, stdin: AsyncIterable<Buffer | string>): Promise<TextInput> {
  let handle: FileHandle | undefined;
  try {
    if (path === STANDARD_INPUT) return await openStream(path, counted(stdin), undefined, undefined);
    handle = await open(path, 'r');
    const found = await handle.stat();
    const facts = { modifiedMs: found.mtimeMs, inode: `${found.dev}:${found.ino}` };
    if (!found.isFile()) {
      return await openStream(
        path,
        counted(handle.createReadStream({ autoClose: false })),
        handle,
        undefined,
      );
    }
    const head = await readAt(handle, 0, DETECTION_BYTES);
    if (isGzip(head) || utf16Name(head) !== undefined)
      return await openStream(path, counted(fileChunks(handle, { position: 0 })), handle, facts);
    refuseUnreadable(path, head);
    return new PlainText(path, handle, head, facts);
  } catch (error) {
    await handle?.close();
    if (error instanceof UserError) throw error;
    if (error instanceof DamagedTextError)
      throw new UserError('input-unreadable', `${path}: ${error.message}`);
    throw new UserError(
      'input-unreadable',
      `${systemErrorSentence(error, path)}; give a file that can be read`,
    );
  }
}

interface FileFacts {
  modifiedMs: number;
  inode: string;
}

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex').slice(0, 32);

function markAt(head: Buffer, offset: number, tail: Buffer): TextMark {
  const headBytes = Math.min(MARK_HEAD_BYTES, offset, head.length);
  return {
    offset,
    headBytes,
    headHash: hashOf(head.subarray(0, headBytes)),
    tailBytes: tail.length,
    tailHash: hashOf(tail),
  };
}

const headMatches = (head: Buffer, mark: TextMark): boolean =>
  head.length >= mark.headBytes && hashOf(head.subarray(0, mark.headBytes)) === mark.headHash;

/** A regular file that is neither packed nor UTF-16: any place in it can be gone to. */
class PlainText implements TextInput {
  readonly path: string;
  readonly head: string;
  readonly inode: string;
  readonly modifiedMs: number;
  readonly #handle: FileHandle;
  #headBytes: Buffer;
  readonly #place = { position: 0 };

  constructor(path: string, handle: FileHandle, head: Buffer, { modifiedMs, inode }: FileFacts) {
    this.path = path;
    this.head = head.toString('utf8');
    this.inode = inode;
    this.modifiedMs = modifiedMs;
    this.#handle = handle;
    this.#headBytes = head;
  }

  mark(offset: number, tail: Buffer): TextMark {
    return markAt(this.#headBytes, offset, tail);
  }

  async seek(mark: TextMark): Promise<boolean> {
    if (!headMatches(this.#headBytes, mark) || !(await this.#hasTail(mark))) return false;
    this.#place.position = mark.offset;
    return true;
  }

  async holds(mark: TextMark | undefined): Promise<boolean> {
    if ((await this.#handle.stat()).size < this.#place.position) return false;
    return mark === undefined || (await this.#hasTail(mark));
  }

  async #hasTail(mark: TextMark): Promise<boolean> {
    const tail = await readAt(this.#handle, mark.offset - mark.tailBytes, mark.tailBytes);
    return tail.length === mark.tailBytes && hashOf(tail) === mark.tailHash;
  }

  async *chunks(): AsyncGenerator<Buffer> {
    if (this.#headBytes.length < MARK_HEAD_BYTES)
      this.#headBytes = await readAt(this.#handle, 0, DETECTION_BYTES);
    yield* fileChunks(this.#handle, this.#place);
  }

  readBytes(): number {
    return this.#place.position;
  }

  version(): Promise<string> {
    return versionOf(this.#handle);
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Standard input, a pipe, or a packed file: read from the beginning to the end, once. */
class StreamedText implements TextInput {
  readonly path: string;
  readonly head: string;
  readonly inode: string | undefined;
  readonly modifiedMs: number | undefined;
  readonly #handle: FileHandle | undefined;
  readonly #headBytes: Buffer;
  readonly #read: () => number;
  #chunks: AsyncGenerator<Buffer>;

  constructor(
    path: string,
    text: { head: Buffer; chunks: AsyncGenerator<Buffer> },
    handle: FileHandle | undefined,
    facts: FileFacts | undefined,
    read: () => number,
  ) {
    this.path = path;
    this.head = text.head.subarray(0, DETECTION_BYTES).toString('utf8');
    this.inode = facts?.inode;
    this.modifiedMs = facts?.modifiedMs;
    this.#handle = handle;
    this.#headBytes = text.head;
    this.#chunks = text.chunks;
    this.#read = read;
  }

  mark(offset: number, tail: Buffer): TextMark {
    return markAt(this.#headBytes, offset, tail);
  }

  /** Unpacks up to the place. O(offset). */
  async seek(mark: TextMark): Promise<boolean> {
    if (!headMatches(this.#headBytes, mark)) return false;
    let passed = 0;
    let tail = Buffer.alloc(0);
    for (;;) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      const chunk = next.value;
      const wanted = Math.min(chunk.length, mark.offset - passed);
      tail = Buffer.from(
        Buffer.concat([tail, chunk.subarray(0, wanted)]).subarray(-Math.max(1, mark.tailBytes)),
      );
      passed += wanted;
      if (passed < mark.offset) continue;
      if (hashOf(tail) !== mark.tailHash) return false;
      const rest = Buffer.from(chunk.subarray(wanted));
      const following = this.#chunks;
      this.#chunks = (async function* () {
        yield rest;
        yield* following;
      })();
      return true;
    }
  }

  async holds(): Promise<boolean> {
    return true;
  }

  chunks(): AsyncGenerator<Buffer> {
    return this.#chunks;
  }

  readBytes(): number {
    return this.#read();
  }

  version(): Promise<string> {
    return this.#handle === undefined ? Promise.resolve('') : versionOf(this.#handle);
  }

  async close(): Promise<void> {
    await this.#chunks.return(undefined);
    await this.#handle?.close();
  }
}

async function versionOf(handle: FileHandle): Promise<string> {
  const { size, mtimeMs } = await handle.stat();
  return `${size}:${mtimeMs}`;
}

async function openStream(
  path: string,
  source: CountedChunks,
  handle: FileHandle | undefined,
  facts: FileFacts | undefined,
): Promise<TextInput> {
  const raw = await withHead(source.chunks);
  const unpacked = isGzip(raw.head) ? await withHead(gunzipped(raw.chunks)) : raw;
  const utf16 = utf16Name(unpacked.head);
  const text = utf16 === undefined ? unpacked : await withHead(decoded(unpacked.chunks, utf16));
  refuseUnreadable(path, text.head);
  return new StreamedText(path, text, handle, facts, source.count);
}

async function readAt(handle: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await handle.read(buffer, 0, length, Math.max(0, position));
  return buffer.subarray(0, bytesRead);
}

async function* fileChunks(handle: FileHandle, place: { position: number }): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, place.position);
    if (bytesRead === 0) return;
    place.position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

interface CountedChunks {
  chunks: AsyncGenerator<Buffer>;
  /** Bytes that were taken so far. */
  count: () => number;
}

function counted(source: AsyncIterable<Buffer | string>): CountedChunks {
  let bytes = 0;
  async function* chunks(): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      const buffer = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      bytes += buffer.length;
      yield buffer;
    }
  }
  return { chunks: chunks(), count: () => bytes };
}

/** The first bytes of a stream, and the stream as a whole. */
async function withHead(
  source: AsyncGenerator<Buffer>,
): Promise<{ head: Buffer; chunks: AsyncGenerator<Buffer> }> {
  const first: Buffer[] = [];
  let bytes = 0;
  while (bytes < DETECTION_BYTES) {
    const next = await source.next();
    if (next.done === true) break;
    first.push(Buffer.from(next.value)); // the chunk's memory is used again
    bytes += next.value.length;
  }
  const head = Buffer.concat(first);
  async function* chunks(): AsyncGenerator<Buffer> {
    try {
      yield* first.splice(0);
      yield* source;
    } finally {
      await source.return(undefined);
    }
  }
  return { head, chunks: chunks() };
}

const isGzip = (head: Buffer): boolean => head[0] === 0x1f && head[1] === 0x8b;

async function* gunzipped(packed: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
  const input = Readable.from(copies(packed));
  input.on('error', (error) => gunzip.destroy(error));
  input.pipe(gunzip);
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (!code.startsWith('Z_')) throw error;
    throw new DamagedTextError(
      code === 'Z_BUF_ERROR'
        ? 'the gzip file is cut off; what stands before the cut was read'
        : 'the gzip file is damaged; what stands before the damage was read',
    );
  } finally {
    input.destroy();
    gunzip.destroy();
  }
}

async function* copies(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) yield Buffer.from(chunk);
}

function utf16Name(head: Buffer): 'utf-16le' | 'utf-16be' | undefined {
  if (head[0] === 0xff && head[1] === 0xfe) return 'utf-16le';
  return head[0] === 0xfe && head[1] === 0xff ? 'utf-16be' : undefined;
}

async function* decoded(chunks: AsyncIterable<Buffer>, encoding: string): AsyncGenerator<Buffer> {
  const decoder = new TextDecoder(encoding);
  for await (const chunk of chunks) yield Buffer.from(decoder.decode(chunk, { stream: true }));
  yield Buffer.from(decoder.decode());
}

/** Real logs have a stray control byte here and there; packed, compiled or random bytes have one in ten. */
const MOST_CONTROL_SHARE = 1 / 64;

/** Refuses what is no text. Zeros at the beginning do not count: a log truncated under its writer begins with them. */
function refuseUnreadable(path: string, head: Buffer): void {
  for (const { magic, name, tool } of PACKED) {
    if (magic.every((byte, index) => head[index] === byte)) {
      throw new UserError(
        'input-unreadable',
        `${path}: is packed with ${name}; pipe it in with "${tool} ${path} | movecast collect … -"`,
      );
    }
  }
  let start = 0;
  while (start < head.length && head[start] === 0) start++;
  let controls = 0;
  for (let i = start; i < head.length; i++) if (IS_CONTROL[head[i]!] === 1) controls++;
  if (controls > (head.length - start) * MOST_CONTROL_SHARE) {
    throw new UserError(
      'input-unreadable',
      `${path}: is a binary file (${controls} control bytes among the first ${head.length}); give a text file`,
    );
  }
}

/** Control bytes that no text has: all but backspace, tab, line ends, form feed and escape. */
const IS_CONTROL = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 8 || (byte > 13 && byte < 32 && byte !== 27) || byte === 127 ? 1 : 0,
);
