import { generateKeyPairSync, hash, sign } from 'node:crypto'

const { privateKey: key, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const encode = (part) => Buffer.from(JSON.stringify(part)).toString('base64url')
const jwk = publicKey.export({ format: 'jwk' })
const header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk })
let made = 0

/**
 * Makes the `Secure-Session-Response` by which a browser registers the key of the benchmark, or
 * proves it.
 */
export function respond (challenge, registers) {
  const header = encode({ typ: 'dbsc+jwt', alg: 'ES256', ...(registers ? { jwk } : {}) })
  return signed(`${header}.${encode({ jti: challenge })}`)
}

/** Makes a DPoP proof for a request of the benchmark, and for the access token if there is one. */
export function prove (htm, path, token) {
  const payload = encode({
    jti: `${process.pid}.${made++}`,
    htm,
    htu: `http://127.0.0.1${path}`,
    iat: Math.floor(Date.now() / 1000),
    ath: token && hash('sha256', token, 'base64url')
  })
  return signed(`${header}.${payload}`)
}

function signed (text) {
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}
