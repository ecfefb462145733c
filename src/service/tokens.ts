import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { UserError } from '../domain/errors.js';

/** What a caller may do: ask for predictions, report moves and samples, or everything, promoting models included. */
export const roles = ['predict', 'report', 'admin'] as const;
export type Role = (typeof roles)[number];

export interface Token {
  /** Who holds it; stands in logs in the place of the token. */
  name: string;
  roles: readonly Role[];
  /** SHA-256 of the token. Tokens are long and random, so a slow hash would add nothing. */
  digest: Buffer;
}

/** 18 random bytes in base64url: shorter ones could be guessed, and are not let in whatever the file says. */
const SHORTEST_TOKEN = 24;
const RANDOM_BYTES = 32;

const LINE = /^(\S+)\s+(\S+)\s+sha256:([0-9a-f]{64})$/;

/**
 * A tokens file: one `NAME ROLE[,ROLE] sha256:HEX` a line; empty lines and `#` comments are passed over.
 *
 * @throws UserError `input-invalid`, naming the line, never its content
 */
export function parseTokens(text: string, fileName: string): Token[] {
  const tokens: Token[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const match = LINE.exec(line);
    const named = match?.[2]!.split(',') ?? [];
    if (match === null || !named.every((role): role is Role => (roles as readonly string[]).includes(role)))
      throw new UserError(
        'input-invalid',
        `${fileName} line ${index + 1}: must be NAME ROLE[,ROLE] sha256:HEX with roles out of ${roles.join(', ')}; movecast serve --add-token writes one`,
      );
    tokens.push({ name: match[1]!, roles: named as Role[], digest: Buffer.from(match[3]!, 'hex') });
  }
  if (tokens.length === 0)
    throw new UserError(
      'input-invalid',
      `${fileName}: holds no token; movecast serve --add-token writes one`,
    );
  return tokens;
}

/** A new token and the line that lets it in; the token itself is nowhere kept. */
export function newToken(name: string, wanted: readonly Role[]): { token: string; line: string } {
  const token = randomBytes(RANDOM_BYTES).toString('base64url');
  return { token, line: `${name} ${wanted.join(',')} sha256:${sha256(token).toString('hex')}` };
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Who holds the presented token. Takes the same time whichever token it is, or none: all are compared. */
export function holderOf(tokens: readonly Token[], presented: string): Token | undefined {
  const digest = sha256(presented);
  let found: Token | undefined;
  for (const token of tokens) if (timingSafeEqual(token.digest, digest)) found = token;
  return presented.length >= SHORTEST_TOKEN ? found : undefined;
}

/** True when the roles held allow what the wanted role does; `admin` allows everything. */
export const allows = (held: readonly Role[], wanted: Role): boolean =>
  held.includes(wanted) || held.includes('admin');
