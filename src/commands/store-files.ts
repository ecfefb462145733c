import { existsSync } from 'node:fs';
import { join, parse } from 'node:path';
import { openStore, sqlitePath } from '../store/open-store.js';
import { DEFAULT_STORE_URL, type Store } from '../store/store.js';
import type { Context } from './context.js';

/**
 * A file beside the store: `moves.db` → `moves.rejects.jsonl`. Beside a store on a server: in `.movecast/` here, named
 * for the server and the database.
 */
export function besideStore(storeUrl: string, ending: string): string {
  if (storeUrl.startsWith('sqlite:')) {
    const path = sqlitePath(storeUrl);
    if (path === ':memory:') return join('.movecast', ending);
    const { dir, name, ext } = parse(path);
    return join(dir, `${/^\.(db|sqlite3?)$/i.test(ext) ? name : name + ext}.${ending}`);
  }
  const address = storeUrl.slice(storeUrl.lastIndexOf('@') + 1).replace(/^[a-z]+:\/\//, '');
  return join('.movecast', `${address.replace(/[^A-Za-z0-9.-]+/g, '-')}.${ending}`);
}

/**
 * The store to read history from; undefined where none is there yet and none was named, or it is about to be made: asking
 * makes no store.
 * @throws UserError where one was named and is not there, or cannot be read
 */
export async function storeWithHistory(
  url: string,
  { env }: Context,
  { isMadeLater = false }: { isMadeLater?: boolean } = {},
): Promise<Store | undefined> {
  const isNamed = url !== DEFAULT_STORE_URL && url !== env['MOVECAST_STORE'];
  if ((isMadeLater || !isNamed) && url.startsWith('sqlite:') && !existsSync(sqlitePath(url)))
    return undefined;
  return openStore(url, { mustExist: true });
}
