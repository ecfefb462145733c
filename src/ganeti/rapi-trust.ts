import { timingSafeEqual, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { checkServerIdentity, connect, type ConnectionOptions } from 'node:tls';
import { systemErrorSentence, UserError } from '../domain/errors.js';

/** Whom a client believes to be the master. */
export interface Trust {
  /** PEM file of the authority that signed the server's certificate, or that very certificate. */
  caFile?: string | undefined;
  /** SHA-256 of the server's certificate in hex, with or without colons, as `openssl x509 -fingerprint -sha256` prints it. */
  pinSha256?: string | undefined;
}

/**
 * Whom to trust, as options of a TLS connection. Ganeti makes a certificate for itself that names another host
 * ("ganeti.example.com"): given that very certificate as authority, the name does not matter, since nobody else holds
 * its key.
 */
export function authorityOf(caFile: string | undefined): ConnectionOptions {
  if (caFile === undefined) return {};
  let ca: string;
  try {
    ca = readFileSync(caFile, 'utf8');
  } catch (error) {
    throw new UserError(
      'input-unreadable',
      `${systemErrorSentence(error, caFile)}; name the file with the certificate`,
    );
  }
  const own = new Set<string>();
  for (const [pem] of ca.matchAll(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)) {
    try {
      own.add(new X509Certificate(pem).fingerprint256);
    } catch {
      throw new UserError(
        'input-invalid',
        `${caFile}: holds a certificate that cannot be read; give it as PEM`,
      );
    }
  }
  if (own.size === 0) throw new UserError('input-invalid', `${caFile}: holds no certificate; give it as PEM`);
  return {
    ca,
    checkServerIdentity: (host, certificate) =>
      own.has(certificate.fingerprint256) ? undefined : checkServerIdentity(host, certificate),
  };
}

/** A fingerprint as 32 bytes. Errors: `UserError` `usage`. */
export function fingerprintBytes(text: string): Buffer {
  const hex = text
    .trim()
    .replace(/^sha256[ :]/i, '')
    .replaceAll(':', '');
  if (!/^[0-9a-f]{64}$/i.test(hex))
    throw new UserError(
      'usage',
      'the fingerprint of the certificate must be 64 hexadecimal digits, as openssl x509 -fingerprint -sha256 prints them',
    );
  return Buffer.from(hex, 'hex');
}

/** Code of the error of a connection whose certificate is not the pinned one. */
export const PIN_MISMATCH = 'ERR_TLS_CERT_PIN';

/**
 * Connects to nobody but the holder of one certificate, whoever signed it. A request gets its socket only after the
 * certificate was compared, so that nothing is sent to anybody else.
 */
export class PinnedAgent extends Agent {
  readonly #pin: Buffer;

  constructor(pin: Buffer, options: ConstructorParameters<typeof Agent>[0]) {
    super(options);
    this.#pin = pin;
  }

  override createConnection(
    ...[options, callback]: Parameters<Agent['createConnection']>
  ): ReturnType<Agent['createConnection']> {
    const socket = connect({ ...(options as ConnectionOptions), rejectUnauthorized: false });
    let isDone = false;
    const done = (error: Error | null): void => {
      if (isDone) return;
      isDone = true;
      callback?.(error, socket);
    };
    socket.once('error', done);
    socket.once('close', () => done(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
    socket.once('secureConnect', () => {
      const { fingerprint256 = '' } = socket.getPeerCertificate();
      const found = Buffer.from(fingerprint256.replaceAll(':', ''), 'hex');
      if (found.length === this.#pin.length && timingSafeEqual(found, this.#pin)) return done(null);
      done(Object.assign(new Error('another certificate'), { code: PIN_MISMATCH }));
      socket.destroy();
    });
    return undefined;
  }
}
