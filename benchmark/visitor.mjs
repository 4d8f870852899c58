import { cookiesOf } from './http.mjs'
import { wire } from './wire.mjs'

/** How many pages a visitor sees for each access cookie: one a minute, in half an hour. */
const pages = 30

/** A browser in cookie mode that has logged in. Its access cookie runs out every 30th page. */
export class Visitor {
  #cookies = new Map()
  #visits

  /** Visitors start at different pages, so that they do not all renew at once. */
  constructor ({ cookies }, number) {
    this.#visits = number
    for (const cookie of cookies.split('; ')) this.#keep(cookie)
  }

  #keep (cookie) {
    this.#cookies.set(cookie.slice(0, cookie.indexOf('=')), cookie)
  }

  /** Returns the next request. */
  visit () {
    if (++this.#visits % pages === 0) {
      for (const name of this.#cookies.keys()) {
        if (name.includes('access_token')) this.#cookies.delete(name)
      }
    }
    return wire.page({ cookies: [...this.#cookies.values()].join('; ') })
  }

  /** Keeps the cookies of an answer. */
  take (response) {
    for (const cookie of cookiesOf(response)) this.#keep(cookie)
  }
}
