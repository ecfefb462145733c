import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Makes a self-signed certificate as Ganeti does: for itself, under a name that is not the master's. Needs openssl. */
export function selfSigned(
  folder: string,
  name: string,
): { keyFile: string; certFile: string; key: string; cert: string } {
  const keyFile = join(folder, `${name}.key`);
  const certFile = join(folder, `${name}.pem`);
  const words = ['req', '-x509', '-days', '2', '-subj', '/CN=ganeti.example.com', '-out', certFile];
  const made = spawnSync('openssl', [...words, '-newkey', 'rsa:2048', '-nodes', '-keyout', keyFile]);
  if (made.status !== 0) throw new Error(made.stderr.toString());
  return { keyFile, certFile, key: readFileSync(keyFile, 'utf8'), cert: readFileSync(certFile, 'utf8') };
}
