/**
 * Masks what looks like a credential in a text out of a log: passwords in addresses, authorization headers, and
 * values of keys named like a secret. Rather too much than too little. O(length).
 *
 * @example
 * maskCredentials('GET http://rapi:hunter2@node1/') === 'GET http://rapi:***@node1/'
 */
export function maskCredentials(text: string): string {
  return text
    .replace(IN_ADDRESS, '$1:***@')
    .replace(HEADER, '$1 ***')
    .replace(
      NAMED_VALUE,
      (_, name: string, quoted: string | undefined) =>
        `${name}${quoted === undefined ? '***' : `${quoted[0]}***${quoted[0]}`}`,
    );
}

/** `scheme://user:password@` */
const IN_ADDRESS = /(\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s/:@]{0,200}):[^\s@/]{1,500}@/gi;

/** `Authorization: Basic …`, `Bearer …` */
const HEADER =
  /\b((?:authorization["']?\s{0,3}[:=]\s{0,3}["']?)?(?:basic|bearer))\s{1,3}[a-z0-9+/=_.~-]{8,}/gi;

/** `password=…`, `"api_key": "…"`, `token: …` */
const NAMED_VALUE =
  /(\b[\w-]{0,40}(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[\w-]{0,20}["']?\s{0,3}[:=]\s{0,3})(?:("[^"]*"?|'[^']*'?)|[^\s,;&"'}]+)/gi;
