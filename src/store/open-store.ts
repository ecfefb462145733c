import { UserError } from '../domain/errors.js';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseInfluxUrl, type InfluxAddress } from './influx-connection.js';
import { InfluxStore } from './influx-store.js';
import { StoreUnreachableError, type RetryPolicy } from './retry.js';
import { DEFAULT_SPOOL_MIB, Spool } from './spool.js';
import { SpooledStore, type SpoolEvent } from './spooled-store.js';
import { SqliteStore } from './sqlite-store.js';
import { noStore, type Store } from './store.js';

const IN_MEMORY = ':memory:';
const HOW = 'give sqlite:PATH or influx://USER:PASS@HOST:8086/DATABASE (influxs:// for TLS)';

/** A spool for writers: what to do with records while a store on a server is away. */
export interface SpoolOptions {
  /** The folder in which each store has its file. */
  folder: string;
  /** @default 256 MiB */
  limitMib?: number;
  onEvent?: (event: SpoolEvent) => void;
}

export interface OpenStoreOptions {
  /** For programs that write: keeps what a server that is away cannot take. An SQLite file needs none. */
  spool?: SpoolOptions;
  /** Most memory for the pages of an SQLite file. @default 32 MiB, which suits long runs of writing */
  cacheMib?: number;
  /** For programs that only read: a store that is not there is an error, not an empty one. */
  mustExist?: boolean;
  /** How long a server that goes away is waited for. */
  retry?: Partial<RetryPolicy>;
}

/** With a spool behind it, a call does not wait long for a server: what it cannot take is safe elsewhere. */
const WAIT_BEFORE_SPOOL_MS = 2000;

/**
 * Opens the store at `url`: `sqlite:PATH`, `sqlite::memory:`, `influx://USER:PASS@HOST:PORT/DATABASE` or `influxs://…`.
 * A store that is not there yet is made, unless `mustExist` says otherwise.
 *
 * With a spool, a server that is away is no error once it has been there: a server that was never reached from this
 * folder is, since it is more likely a slip in the URL.
 *
 * @throws UserError `usage` for a URL that names no store, `store-unavailable` or `store-format` when it cannot be opened.
 */
export async function openStore(url: string, options: OpenStoreOptions = {}): Promise<Store> {
  if (url.startsWith('sqlite:')) {
    const path = sqlitePath(url);
    if (path === '') throw new UserError('usage', `the store URL ${redactUrl(url)} names no file; ${HOW}`);
    if (options.mustExist === true && path !== IN_MEMORY && !existsSync(path)) throw noStore(redactUrl(url));
    return SqliteStore.open(path, options.cacheMib);
  }
  const address = parseInfluxUrl(url, redactUrl(url));
  if (address === undefined)
    throw new UserError('usage', `${redactUrl(url)} is not the URL of a store; ${HOW}`);
  if (options.spool !== undefined) return openSpooled(address, options.spool, options.retry);
  const { mustExist = false, retry = {} } = options;
  return InfluxStore.open(address, { mustExist, retry });
}

async function openSpooled(
  address: InfluxAddress,
  { folder, limitMib = DEFAULT_SPOOL_MIB, onEvent }: SpoolOptions,
  retry: Partial<RetryPolicy> = {},
): Promise<SpooledStore> {
  const connect = (): Promise<InfluxStore> =>
    InfluxStore.open(address, { retry: { deadlineMs: WAIT_BEFORE_SPOOL_MS, ...retry } });
  const path = spoolPath(folder, address);
  let first: InfluxStore | undefined;
  try {
    first = await connect();
  } catch (error) {
    if (!(error instanceof StoreUnreachableError) || !existsSync(path)) throw error;
  }
  return new SpooledStore({
    url: address.url,
    spool: Spool.open(path, limitMib),
    connect: async () => {
      const store = first ?? (await connect());
      first = undefined;
      return store;
    },
    retry,
    ...(onEvent !== undefined && { onEvent }),
  });
}

/** The spool of one database on one server. */
function spoolPath(folder: string, { host, port, database }: InfluxAddress): string {
  return join(folder, `${`${host}-${port}-${database}`.replace(/[^A-Za-z0-9.-]+/g, '_')}.spool`);
}

/** The path in `sqlite:PATH`; `sqlite:///a/b` is understood as `/a/b`. */
export function sqlitePath(url: string): string {
  return url.slice('sqlite:'.length).replace(/^\/\/\/+/, '/');
}

/**
 * The URL with its password starred out, for messages and logs. Works on broken URLs too: whatever stands between
 * the first `:` after the user and the last `@` goes.
 *
 * @example
 * redactUrl('influx://me:secret@db:8086/moves') === 'influx://me:***@db:8086/moves'
 */
export function redactUrl(url: string): string {
  const printable = url.replace(/[\p{Cc}\u2028\u2029]/gu, '?');
  const at = printable.lastIndexOf('@');
  if (at < 0) return printable;
  const scheme = /^[a-z][a-z0-9+.-]*:(\/\/)?/i.exec(printable)?.[0] ?? '';
  const userinfo = printable.slice(scheme.length, at);
  const colon = userinfo.indexOf(':');
  if (colon < 0) return printable;
  return `${scheme}${userinfo.slice(0, colon)}:***${printable.slice(at)}`;
}
