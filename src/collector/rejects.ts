import { open, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemErrorSentence, UserError } from '../domain/errors.js';
import { makeFolders } from '../store/folders.js';
import { maskCredentials } from './credentials.js';

/** A line that cannot become a record, as it stands in the rejects file. */
export interface Reject {
  file: string;
  /** 1-based. */
  line: number;
  reason: string;
  text: string;
}

/** Enough to find the line again and see what is wrong with it. */
const SHOWN_CHARACTERS = 2000;
const REASON_CHARACTERS = 300;

/** The file that rejected lines go to, one JSON object a line, appended. Made when the first one comes. */
export class RejectsFile {
  /** Undefined: rejects are dropped, as in a dry run. */
  readonly path: string | undefined;
  #handle: FileHandle | undefined;
  #waiting: string[] = [];

  constructor(path: string | undefined) {
    this.path = path;
  }

  /** Lines that are not yet in the file. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Notes a reject, cut to a limit, with credentials masked; `flush` writes it. */
  add({ file, line, reason, text }: Reject): void {
    if (this.path === undefined) return;
    const shown = maskCredentials(text.slice(0, SHOWN_CHARACTERS));
    this.#waiting.push(
      `${JSON.stringify({ file, line, reason: maskCredentials(reason.slice(0, REASON_CHARACTERS)), text: shown })}\n`,
    );
  }

  /** Writes what waits. @throws UserError `cannot-write` */
  async flush(): Promise<void> {
    if (this.path === undefined || this.#waiting.length === 0) return;
    const lines = this.#waiting.join('');
    this.#waiting = [];
    try {
      if (this.#handle === undefined) {
        makeFolders(dirname(this.path));
        this.#handle = await open(this.path, 'a');
      }
      await this.#handle.appendFile(lines);
    } catch (error) {
      throw new UserError(
        'cannot-write',
        `${systemErrorSentence(error, this.path)}; name a file for rejected lines with --rejects`,
      );
    }
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#handle?.close();
      this.#handle = undefined;
    }
  }
}
