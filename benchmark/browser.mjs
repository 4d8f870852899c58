import { credentials, header } from './http.mjs'
import { respond } from './proofs.mjs'
import { wire } from './wire.mjs'

/** A browser that binds its session, and signs each challenge once. It has logged in. */
export class Browser {
  #cookie
  #proof
  #identifier
  #response

  constructor ({ cookie, offer }) {
    this.#cookie = cookie
    this.#response = respond(/challenge="(.*?)"/.exec(offer)[1], true)
  }

  /** Returns the request that proves its key; at first the one that registers it. */
  prove () {
    return wire.device({
      cookie: this.#cookie, identifier: this.#identifier, response: this.#response
    })
  }

  /** Returns a proof, or the refresh after it. */
  proveAndRefresh () {
    if (this.#proof === undefined) return this.prove()
    return wire.proven({ cookie: this.#cookie, proof: this.#proof })
  }

  /** Reads an answer. */
  take (response) {
    const challenge = header(response, 'secure-session-challenge')
    if (challenge !== undefined) this.#response = respond(/"(.*?)"/.exec(challenge)[1], false)
    const { cookie, session_identifier: identifier, access_token: token } = credentials(response)
    this.#identifier ??= identifier
    if (token !== undefined) {
      this.#cookie = cookie
      this.#proof = undefined
    } else if (cookie !== undefined) {
      this.#proof = cookie
    }
  }
}
