import http from 'node:http';
import https from 'node:https';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { InfluxDB } from 'influx';
import { UserError, systemErrorSentence } from '../domain/errors.js';
import { StoreUnreachableError, retryAfterOf } from './retry.js';

const packed = promisify(gzip);

/** What InfluxDB says when it is a line that is wrong and not the request. */
const ABOUT_LINES =
  /partial write|unable to parse|field type conflict|beyond retention|max-values|max-series/i;

/** A line that the server would not take. */
export interface RefusedLine {
  /** Among the lines of the call. */
  index: number;
  /** In the server's words. */
  reason: string;
}

/** Where a database is, and who asks. */
export interface InfluxAddress {
  /** For messages: without the password. */
  url: string;
  tls: boolean;
  host: string;
  port: number;
  database: string;
  user: string | undefined;
  password: string | undefined;
}

/** A value in a row of an answer. */
export type InfluxValue = string | number | boolean | null;

export interface InfluxRow {
  /** Which statement of the query it answers, from 0. */
  statement: number;
  columns: readonly string[];
  values: readonly InfluxValue[];
}

/** What a query's `$name` stands for. */
export type Placeholders = Readonly<Record<string, string | number>>;

interface StatementResult {
  statement_id?: number;
  error?: string;
  series?: { columns: string[]; values?: InfluxValue[][] }[];
}

/** How long the server may be silent: longer than its slowest honest answer here, short enough for a person to wait. */
export const DEFAULT_TIMEOUT_MS = 30_000;
/** Rows a chunk of a streamed answer. */
const CHUNK_ROWS = 5000;
/** How much of the server's own words goes into a message. */
const WORDS_SHOWN = 200;
/** Nobody reads more of an error. */
const ERROR_BODY_BYTES = 64 * 1024;

interface Pause {
  getDelay(): number;
  next(): Pause;
  reset(): Pause;
}
/** Otherwise one refused connection makes the client answer "no host available" for seconds without asking. */
const noPause: Pause = { getDelay: () => 0, next: () => noPause, reset: () => noPause };

/**
 * HTTP to one InfluxDB database.
 *
 * Small questions and management go through the `influx` client. It never settles when the server dies in the middle
 * of an answer, so every call races a timer of ours; its errors hold the request with its credentials, so they never
 * leave this file. What is large does not go through it: it reads an answer whole before it gives the first row, and
 * has neither chunks nor compression.
 */
export class InfluxConnection {
  private readonly client: InfluxDB;
  private readonly agent: http.Agent;
  private readonly writePath: string;
  private readonly packs: boolean;

  constructor(
    readonly address: InfluxAddress,
    private readonly timeoutMs: number = DEFAULT_TIMEOUT_MS,
    /** Whether writes are packed with gzip. @default when the server is on another machine */
    { gzip: packs = !isLoopback(address.host) }: { gzip?: boolean } = {},
  ) {
    this.packs = packs;
    this.writePath = `/write?${new URLSearchParams({ db: address.database, precision: 'ns' }).toString()}`;
    this.client = new InfluxDB({
      host: address.host,
      port: address.port,
      protocol: address.tls ? 'https' : 'http',
      database: address.database,
      username: address.user ?? '', // the client would send root:root when left alone
      password: address.password ?? '',
      pool: {
        maxRetries: 0,
        requestTimeout: timeoutMs,
        backoff: noPause,
      },
    });
    this.agent = address.tls ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true });
  }

  /** The rows of a small answer, all at once. */
  async ask(query: string, placeholders: Placeholders = {}): Promise<InfluxRow[]> {
    const answer = await this.settled(
      this.client.queryRaw(query, {
        database: this.address.database,
        placeholders: { ...placeholders },
        method: 'POST',
      }),
    );
    return [...this.rowsOf(answer)];
  }

  /** CREATE DATABASE, which does nothing when it is there. */
  createDatabase(): Promise<void> {
    return this.settled(this.client.createDatabase(this.address.database));
  }

  /** The rows of an answer of any size as they arrive; leaving the loop early breaks the answer off. */
  async *stream(query: string, placeholders: Placeholders = {}): AsyncGenerator<InfluxRow> {
    const form = new URLSearchParams({
      db: this.address.database,
      q: query,
      params: JSON.stringify(placeholders),
      chunked: 'true',
      chunk_size: String(CHUNK_ROWS),
    });
    const response = await this.post('/query', Buffer.from(form.toString()), {
      'content-type': 'application/x-www-form-urlencoded',
    });
    try {
      if (response.statusCode !== 200) throw this.said(await this.wordsOf(response), response);
      for await (const line of this.lines(response)) yield* this.rowsOf(parseAnswer(line, this.address.url));
    } finally {
      response.destroy();
    }
  }

  /**
   * Writes lines of the line protocol in one request, packed with gzip, which the client cannot. InfluxDB stores the
   * good lines and refuses the others with one message for all, so that what was refused is found by sending halves
   * again: the same line twice is the same point. O(refused · log lines) further requests.
   */
  async write(lines: readonly string[]): Promise<RefusedLine[]> {
    const refusal = await this.send(lines);
    if (refusal === undefined) return [];
    if (lines.length === 1 || refusal.dropped === lines.length)
      return lines.map((_, index) => ({ index, reason: refusal.reason }));
    const middle = lines.length >>> 1;
    const left = await this.write(lines.slice(0, middle));
    const right = await this.write(lines.slice(middle));
    return [...left, ...right.map(({ index, reason }) => ({ index: index + middle, reason }))];
  }

  close(): void {
    this.agent.destroy();
  }

  /** The body of a write. On this machine there is no network to spare, and packing costs both sides a third more. */
  private async body(text: string): Promise<{ body: Buffer; headers: http.OutgoingHttpHeaders }> {
    const headers = { 'content-type': 'text/plain; charset=utf-8' };
    if (!this.packs) return { body: Buffer.from(text), headers };
    const body = await packed(text, { level: constants.Z_BEST_SPEED });
    return { body, headers: { ...headers, 'content-encoding': 'gzip' } };
  }

  /** One attempt to write; what the server says when it did not take all lines. */
  private async send(lines: readonly string[]): Promise<{ reason: string; dropped: number } | undefined> {
    const { body, headers } = await this.body(lines.join('\n'));
    const response = await this.post(this.writePath, body, headers);
    if (response.statusCode === 204) {
      response.resume();
      return undefined;
    }
    const words = await this.wordsOf(response);
    const aboutLines =
      (response.statusCode === 400 && ABOUT_LINES.test(words)) || response.statusCode === 413;
    if (!aboutLines) throw this.said(words, response);
    return {
      reason: this.shown(words.replace(/^partial write: /, '').replace(/ dropped=\d+$/, '')),
      dropped: Number(/ dropped=(\d+)$/.exec(words)?.[1] ?? 0),
    };
  }

  /** Sends a request and gives the answer once its headers are here. */
  private post(path: string, body: Buffer, headers: http.OutgoingHttpHeaders): Promise<http.IncomingMessage> {
    const { address } = this;
    return new Promise((resolve, reject) => {
      const request = (address.tls ? https : http).request({
        host: address.host,
        port: address.port,
        method: 'POST',
        path,
        agent: this.agent,
        headers: {
          ...headers,
          'content-length': body.length,
          ...(address.user !== undefined && {
            authorization: `Basic ${Buffer.from(`${address.user}:${address.password ?? ''}`).toString('base64')}`,
          }),
        },
      });
      const timer = setTimeout(() => {
        request.destroy();
        reject(this.silent());
      }, this.timeoutMs);
      request.on('response', (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      request.on('error', (error) => {
        clearTimeout(timer);
        reject(this.sentence(error));
      });
      request.end(body);
    });
  }

  /** The lines of a body as they arrive; throws when it is silent for too long or breaks off. */
  private async *lines(response: http.IncomingMessage): AsyncGenerator<string> {
    response.setEncoding('utf8');
    const chunks = response[Symbol.asyncIterator]() as AsyncIterator<string>;
    let rest = '';
    for (;;) {
      const { done, value } = await this.settled(chunks.next());
      if (done === true) break;
      const parts = (rest + value).split('\n');
      rest = parts.pop()!;
      for (const part of parts) if (part !== '') yield part;
    }
    if (rest.trim() !== '') yield rest;
  }

  /** The outcome of a call, or an error when it has none in time. What is thrown holds nothing of the request. */
  private async settled<T>(call: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(this.silent()), this.timeoutMs);
    });
    try {
      return await Promise.race([call, late]);
    } catch (error) {
      throw this.sentence(error);
    } finally {
      clearTimeout(timer);
    }
  }

  private *rowsOf(answer: unknown): Generator<InfluxRow> {
    const { results = [], error } = answer as { results?: StatementResult[]; error?: string };
    if (error !== undefined) throw this.said(error);
    for (const result of results) {
      if (result.error !== undefined) throw this.said(result.error);
      for (const { columns, values = [] } of result.series ?? []) {
        for (const row of values) yield { statement: result.statement_id ?? 0, columns, values: row };
      }
    }
  }

  private silent(): UserError {
    return new StoreUnreachableError(
      `the store ${this.address.url} did not answer within ${this.timeoutMs / 1000} s; is the server well?`,
    );
  }

  /** What the server says in the body of a refusal. */
  private async wordsOf(response: http.IncomingMessage): Promise<string> {
    let body = '';
    try {
      for await (const line of this.lines(response)) {
        body += line;
        if (body.length > ERROR_BODY_BYTES) break;
      }
    } catch {
      // The status says enough.
    }
    response.destroy();
    try {
      const { error, message } = JSON.parse(body) as { error?: string; message?: string };
      return error ?? message ?? body;
    } catch {
      return body; // a proxy answers in HTML
    }
  }

  private said(
    words: string,
    { statusCode: status, headers }: Partial<Pick<http.IncomingMessage, 'statusCode' | 'headers'>> = {},
  ): UserError {
    const { url, database } = this.address;
    if (status === 401 || /authorization failed|unable to parse authentication/i.test(words))
      return new UserError(
        'store-unavailable',
        `the store ${url} refuses this user or password; check the URL given with --store`,
      );
    if (status === 403 || /not authorized/i.test(words))
      return new UserError(
        'store-unavailable',
        `the store ${url} does not allow this user to do that (${this.shown(words)}); grant it rights on "${database}"`,
      );
    if (/database not found/i.test(words))
      return new InfluxDatabaseMissing(
        'store-unavailable',
        `the store ${url} has no database "${database}"; create it, or give a user who may`,
      );
    const shown = this.shown(words);
    const sentence = `the store ${url} refused${status === undefined ? '' : ` with status ${status}`}${shown === '' ? '' : `: ${shown}`}`;
    return status === 429 || (status !== undefined && status >= 500)
      ? new StoreUnreachableError(sentence, retryAfterOf(headers?.['retry-after'], Date.now()))
      : new UserError('store-unavailable', sentence);
  }

  /** Any error as one of ours; the original is not attached: it holds the request and its credentials. */
  private sentence(error: unknown): UserError {
    if (error instanceof UserError) return error;
    const status = /^A (\d{3}) .*? error occurred: (.*)$/s.exec(error instanceof Error ? error.message : '');
    if (status !== null) {
      let words = status[2]!;
      try {
        words = (JSON.parse(words) as { error?: string }).error ?? words;
      } catch {
        // not JSON
      }
      return this.said(words, { statusCode: Number(status[1]) });
    }
    const code = (error as { code?: unknown } | null)?.code;
    const what = `the store ${this.address.url} cannot be reached`;
    if (error instanceof Error && error.constructor.name === 'ServiceNotAvailableError')
      return this.said(error.message, { statusCode: 500 });
    return new StoreUnreachableError(
      typeof code === 'string'
        ? systemErrorSentence({ code }, what)
        : `${what}: ${this.shown(error instanceof Error ? error.message : String(error))}`,
    );
  }

  /** The server's words, short, on one line, without the password. */
  private shown(words: string): string {
    const { password } = this.address;
    const clean = password === undefined || password === '' ? words : words.replaceAll(password, '***');
    return clean
      .replace(/[\p{Cc}\s]+/gu, ' ')
      .trim()
      .slice(0, WORDS_SHOWN);
  }
}

/** The server is there, the database is not. */
export class InfluxDatabaseMissing extends UserError {}

function parseAnswer(line: string, url: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new UserError(
      'store-unavailable',
      `the store ${url} sent an answer that is not JSON; is it InfluxDB?`,
    );
  }
}

/**
 * `influx://USER:PASS@HOST:PORT/DATABASE` (`influxs://` for TLS) taken apart; undefined when it is not of that form.
 * User and password may be percent-encoded. The port is 8086 when absent.
 */
export function parseInfluxUrl(url: string, redacted: string): InfluxAddress | undefined {
  const scheme = /^influx(s?):\/\//.exec(url);
  if (scheme === null) return undefined;
  try {
    const parsed = new URL(`http${url.slice(scheme[0].length - '://'.length)}`);
    const database = decodeURIComponent(parsed.pathname.slice(1));
    if (database === '' || database.includes('/') || parsed.hostname === '') return undefined;
    return {
      url: redacted,
      tls: scheme[1] === 's',
      host: parsed.hostname.replace(/^\[|\]$/g, ''),
      port: parsed.port === '' ? DEFAULT_PORT : Number(parsed.port),
      database,
      user: parsed.username === '' ? undefined : decodeURIComponent(parsed.username),
      password: parsed.password === '' ? undefined : decodeURIComponent(parsed.password),
    };
  } catch {
    return undefined;
  }
}

const DEFAULT_PORT = 8086;

const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || host.startsWith('127.');
