import { generateKeyPairSync, hash, sign } from 'node:crypto'

const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url')
const jwk = publicKey.export({ format: 'jwk' })
const header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk })
let made = 0

/** Makes a DPoP proof for a request of the benchmark, and for the access token if there is one. */
export function prove (htm, path, token) {
  const payload = encode({
    jti: `${process.pid}.${made++}`,
    htm,
    htu: `http://127.0.0.1${path}`,
    iat: Math.floor(Date.now() / 1000),
    ath: token && hash('sha256', token, 'base64url')
  })
  const text = `${header}.${payload}`
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}
