// Uses the client as an app in React Native does, and prints what came of it:
//   node react-native.mjs <client> <origin> <old|new>
// React Native's own globals stand in for those of Node: its class URL (as it was in 0.73, and as
// it is in 0.88), whatwg-fetch over XMLHttpRequest, no AbortSignal.timeout, no channel, no locks,
// no page, and atob from 0.74 on. What its classes URL do is written again here: they come in Flow,
// in a package of 25 MB.
import { createRequire } from 'node:module'
import xhr2 from 'xhr2'

const [, , client, origin, version] = process.argv
const isWhole = (url) => /^(?:https?|ftp|file):\/\/[^/]/.test(url)

class Url {
  constructor (url, base) {
    if (!base || isWhole(url)) {
      const hasPath = /:\/\/[^/?#]*[/?#]/.test(url)
      const slash = version === 'old' ? !url.endsWith('/') : isWhole(url) && !hasPath
      this.text = slash ? `${url}/` : url
      return
    }
    const whole = `${base}`.replace(/\/$/, '')
    if (!isWhole(whole)) throw new TypeError(`Invalid base URL: ${base}`)
    const path = url.startsWith('/') ? url : `/${url}`
    this.text = whole.endsWith(path) ? whole : whole + path
  }

  get href () { return this.text }

  get origin () {
    if (version === 'old') throw new Error('URL.origin is not implemented')
    return this.text.split('/', 3).join('/')
  }

  toString () { return this.text }
}

const { AbortSignal } = globalThis
delete AbortSignal.timeout
for (const name of ['fetch', 'Request', 'Response', 'Headers', 'BroadcastChannel', 'navigator']) {
  Reflect.deleteProperty(globalThis, name)
}
const native = { self: globalThis, URL: Url, XMLHttpRequest: xhr2.XMLHttpRequest }
Object.assign(globalThis, native, version === 'old' ? { atob: undefined } : {})
createRequire(import.meta.url)('whatwg-fetch')

const { createClient } = await import(client)
const said = {}
try {
  createClient()
} catch ({ message }) {
  said.sentence = message
}

let kept = null
const storage = {
  get: async () => kept,
  set: async (token) => { kept = token },
  clear: async () => { kept = null }
}
said.ended = []
const auth = createClient({
  prefix: `${origin}/auth`, storage, onSessionEnd: (reason) => said.ended.push(reason)
})
const statusOf = async (response) => (await response).status
said.restored = await auth.restore()
said.login = await statusOf(auth.login(`${origin}/login`, {
  claims: { sub: 'ada' }, options: { transport: 'body' }
}))
said.whole = await statusOf(auth.fetch(`${origin}/me`))
said.relative = await statusOf(auth.fetch('/me'))
const before = kept
said.refreshed = await auth.refresh() && kept !== before
said.again = await statusOf(auth.fetch(`${origin}/again`))
const controller = new AbortController()
controller.abort()
said.aborted = await auth.fetch('/me', { signal: controller.signal }).catch(({ name }) => name)
said.logout = await statusOf(auth.logout())
said.kept = kept
console.log(JSON.stringify(said))
