import { open, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { STANDARD_INPUT, type InputFile } from './input-files.js';
import { DETECTION_BYTES } from './sources/source.js';

/** Read at once: large enough that the system calls do not show, small enough that memory stays flat. */
const CHUNK_BYTES = 1 << 18;

/** First bytes of packed files that are not gzip, and what unpacks them. */
const PACKED: readonly { magic: readonly number[]; name: string; tool: string }[] = [
  { magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], name: 'xz', tool: 'xz -dc' },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], name: 'zstd', tool: 'zstd -dc' },
  { magic: [0x42, 0x5a, 0x68], name: 'bzip2', tool: 'bzip2 -dc' },
  { magic: [0x50, 0x4b, 0x03, 0x04], name: 'zip', tool: 'unzip -p' },
];

/** A text to be read once: its beginning, to find out what it is, and all of its bytes, unpacked, as UTF-8 or older. */
export interface TextInput {
  path: string;
  /** The first `DETECTION_BYTES`, decoded. */
  head: string;
  /** When it was last written; undefined for standard input. */
  modifiedMs: number | undefined;
  /** The text's bytes. A chunk is valid until the next one is asked for. */
  chunks: AsyncIterable<Buffer>;
  /** Bytes of the file that were read so far, packed as they are. */
  readBytes(): number;
  close(): Promise<void>;
}

/** The text of a packed file ends before the file says so, or is damaged: what was read up to there is good. */
export class DamagedTextError extends Error {}

/**
 * Opens a file or standard input. Gzip is known by its first bytes and unpacked, UTF-16 (with its mark) is decoded.
 *
 * @throws UserError `input-unreadable` when it cannot be opened, is binary, or packed in another way.
 */
export async function openText(file: InputFile, stdin: AsyncIterable<Buffer | string>): Promise<TextInput> {
  let handle: FileHandle | undefined;
  let modifiedMs: number | undefined;
  let readBytes = 0;
  try {
    if (file.path !== STANDARD_INPUT) {
      handle = await open(file.path, 'r');
      modifiedMs = (await handle.stat()).mtimeMs;
    }
    const source = counted(handle === undefined ? stdin : fileChunks(handle), (bytes) => {
      readBytes += bytes;
    });
    const raw = await withHead(source);
    const unpacked = isGzip(raw.head) ? await withHead(gunzipped(raw.chunks)) : raw;
    refusePacked(file.path, unpacked.head);
    const utf16 = utf16Name(unpacked.head);
    const text = utf16 === undefined ? unpacked : await withHead(decoded(unpacked.chunks, utf16));
    refuseBinary(file.path, text.head);
    return {
      path: file.path,
      head: text.head.subarray(0, DETECTION_BYTES).toString('utf8'),
      modifiedMs,
      chunks: text.chunks,
      readBytes: () => readBytes,
      close: async () => handle?.close(),
    };
  } catch (error) {
    await handle?.close();
    if (error instanceof UserError) throw error;
    if (error instanceof DamagedTextError)
      throw new UserError('input-unreadable', `${file.path}: ${error.message}`);
    throw new UserError(
      'input-unreadable',
      `${systemErrorSentence(error, file.path)}; give a file that can be read`,
    );
  }
}

async function* fileChunks(handle: FileHandle): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, CHUNK_BYTES, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* counted(
  chunks: AsyncIterable<Buffer | string>,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    count(bytes.length);
    yield bytes;
  }
}

/** The first bytes of a stream, and the stream as a whole. */
async function withHead(
  source: AsyncIterable<Buffer>,
): Promise<{ head: Buffer; chunks: AsyncGenerator<Buffer> }> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Buffer[] = [];
  let bytes = 0;
  while (bytes < DETECTION_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    first.push(Buffer.from(next.value)); // the chunk's memory is used again
    bytes += next.value.length;
  }
  async function* chunks(): AsyncGenerator<Buffer> {
    yield* first.splice(0);
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) return;
      yield next.value;
    }
  }
  return { head: Buffer.concat(first), chunks: chunks() };
}

const isGzip = (head: Buffer): boolean => head[0] === 0x1f && head[1] === 0x8b;

async function* gunzipped(packed: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
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

function refusePacked(path: string, head: Buffer): void {
  for (const { magic, name, tool } of PACKED) {
    if (magic.every((byte, index) => head[index] === byte))
      throw new UserError(
        'input-unreadable',
        `${path}: is packed with ${name}; pipe it in with "${tool} ${path} | movecast collect … -"`,
      );
  }
}

/** A text has no NULs, but for those at the beginning of a log that was truncated under its writer. */
function refuseBinary(path: string, head: Buffer): void {
  let start = 0;
  while (start < head.length && head[start] === 0) start++;
  const at = head.indexOf(0, start);
  if (at >= 0)
    throw new UserError(
      'input-unreadable',
      `${path}: is a binary file (a zero byte at offset ${at}); give a text file`,
    );
}
