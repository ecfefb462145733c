import { UserError } from '../domain/errors.js';

/** Port on which Ganeti's remote API listens unless told otherwise. */
export const DEFAULT_PORT = '5080';

/**
 * `master`, `master:5080` or `https://[USER:PASSWORD@]master[:5080]` → an address with its port. Plain HTTP is for the
 * loopback and for tests. Errors: `UserError` `usage`, never with what was given, which may hold a password.
 */
export function rapiAddress(text: string): URL {
  const given = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  let address: URL;
  try {
    address = new URL(given);
  } catch {
    throw new UserError(
      'usage',
      'the address of the remote API is no URL; give one such as https://master.example.com:5080',
    );
  }
  if (address.protocol !== 'https:' && address.protocol !== 'http:')
    throw new UserError(
      'usage',
      `${address.protocol.slice(0, 20)} is no protocol of the remote API; give https://master.example.com:5080`,
    );
  // A port of 443 that was given is left out by URL itself.
  if (address.port === '' && address.protocol === 'https:' && !/:443(?:\/|$)/.test(given))
    address.port = DEFAULT_PORT;
  return address;
}

/** The address as it may be shown: without a user's name and password. */
export const shownAddress = ({ protocol, host }: URL): string => `${protocol}//${host}`;

/** True where what is sent does not leave this machine. */
export const isLoopback = ({ hostname }: URL): boolean => /^(?:localhost$|127\.|\[::1\])/.test(hostname);
