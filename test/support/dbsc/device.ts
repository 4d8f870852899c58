import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import type { DeviceAlgorithm, PublicJwk } from '../../../lib/binding/jwk'

/** A device's key, and what a browser signs with it. */
export class Device {
  readonly algorithm: DeviceAlgorithm
  readonly jwk: PublicJwk
  readonly #key: KeyObject

  constructor (algorithm: DeviceAlgorithm = 'ES256') {
    const { publicKey, privateKey } = algorithm === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
    this.algorithm = algorithm
    this.jwk = publicKey.export({ format: 'jwk' }) as PublicJwk
    this.#key = privateKey
  }

  /** Returns what a browser sends to register this key. */
  register (challenge: string): string {
    return this.sign({ jwk: this.jwk }, { jti: challenge })
  }

  /** Returns what a browser sends to prove this key. */
  prove (challenge: string): string {
    return this.sign({}, { jti: challenge })
  }

  /** Returns a JWS with these members, which stand before the browser's own. */
  sign (header: object, payload: object): string {
    const all = { alg: this.algorithm, typ: 'dbsc+jwt', ...header }
    const text = `${encode(all)}.${encode(payload)}`
    const key = this.#key
    const signature = this.algorithm === 'ES256'
      ? sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
      : sign('sha256', Buffer.from(text), key)
    return `${text}.${signature.toString('base64url')}`
  }
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
