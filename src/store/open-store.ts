import { UserError } from '../domain/errors.js';
import { parseInfluxUrl } from './influx-connection.js';
import { InfluxStore } from './influx-store.js';
import { SqliteStore } from './sqlite-store.js';
import type { Store } from './store.js';

const HOW = 'give sqlite:PATH or influx://USER:PASS@HOST:8086/DATABASE (influxs:// for TLS)';

/**
 * Opens the store at `url`: `sqlite:PATH`, `sqlite::memory:`, `influx://USER:PASS@HOST:PORT/DATABASE` or `influxs://…`.
 * A store that is not there yet is made.
 *
 * @throws UserError `usage` for a URL that names no store, `store-unavailable` or `store-format` when it cannot be opened.
 */
export async function openStore(url: string): Promise<Store> {
  if (url.startsWith('sqlite:')) {
    const path = sqlitePath(url);
    if (path === '') throw new UserError('usage', `the store URL ${redactUrl(url)} names no file; ${HOW}`);
    return SqliteStore.open(path);
  }
  const address = parseInfluxUrl(url, redactUrl(url));
  if (address !== undefined) return InfluxStore.open(address);
  throw new UserError('usage', `${redactUrl(url)} is not the URL of a store; ${HOW}`);
}

/** The path in `sqlite:PATH`; `sqlite:///a/b` is understood as `/a/b`. */
function sqlitePath(url: string): string {
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
