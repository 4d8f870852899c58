import { execFileSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from '../servers/launch'

export interface Certificate {
  readonly key: Buffer
  readonly cert: Buffer
  /** The SHA-256 of the public key, by which Chromium takes the certificate for a good one. */
  readonly pin: string
}

/** Creates a certificate for all hosts of `.test`, signed by itself. */
export function createCertificate (): Certificate {
  const folder = temporaryFolder()
  const key = join(folder, 'key.pem')
  const cert = join(folder, 'cert.pem')
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-days', '30', '-keyout', key, '-out', cert, '-subj', '/CN=bound.test',
    '-addext', 'subjectAltName=DNS:*.test'
  ], { stdio: 'ignore' })
  const pem = readFileSync(cert)
  const spki = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })
  const pin = createHash('sha256').update(spki).digest('base64')
  return { key: readFileSync(key), cert: pem, pin }
}
