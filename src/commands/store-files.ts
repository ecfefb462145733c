import { join, parse } from 'node:path';

/**
 * A file beside the store: `moves.db` → `moves.rejects.jsonl`. Beside a store on a server: in `.movecast/` here, named
 * for the server and the database.
 */
export function besideStore(storeUrl: string, ending: string): string {
  if (storeUrl.startsWith('sqlite:')) {
    const path = storeUrl.slice('sqlite:'.length).replace(/^\/\/\/+/, '/');
    if (path === ':memory:') return join('.movecast', ending);
    const { dir, name, ext } = parse(path);
    return join(dir, `${/^\.(db|sqlite3?)$/i.test(ext) ? name : name + ext}.${ending}`);
  }
  const address = storeUrl.slice(storeUrl.lastIndexOf('@') + 1).replace(/^[a-z]+:\/\//, '');
  return join('.movecast', `${address.replace(/[^A-Za-z0-9.-]+/g, '-')}.${ending}`);
}
