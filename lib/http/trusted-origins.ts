import { deny, describeUrl, isString, type Check } from '../options/schema'

// The pages of an app's WebView or of an extension have origins that URL does not know.
const isAppOrigin = /^(?!https?:|wss?:|ftp:|file:|blob:)[a-z][a-z\d+.-]*:\/\/[\w.-]+(?::\d+)?$/
const example = "'https://app.example.com'"

/** Reads the option `trustedOrigins`. @throws INVALID_OPTION that names the entry, and says why */
export const readTrustedOrigins: Check<Array<string | RegExp>> = (given, path) => {
  if (given === undefined) return []
  if (!Array.isArray(given)) {
    const allowed = `an array of origins such as ${example}, with a RegExp for a pattern of them`
    return deny(path, describeUrl(given), allowed)
  }
  return given.map((origin: unknown, i) => {
    if (origin instanceof RegExp) return origin
    const allowed =
      isString(origin) ? findFault(origin) : `an origin such as ${example}, or a RegExp`
    return allowed === undefined
      ? origin as string
      : deny(`${path}[${i}]`, describeUrl(origin), allowed)
  })
}

// Returns what would be right instead of a string that no origin can equal.
function findFault (given: string): string | undefined {
  if (isAppOrigin.test(given) && URL.canParse(given)) return undefined
  if (given.includes('*')) return 'a RegExp for a pattern of origins'
  if (given === 'null') return 'an origin of its own: sandboxed pages of any site have this one'
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    return `an origin with its scheme, such as ${example}`
  }
  return url.origin === given ? undefined : `the origin as browsers send it, '${url.origin}'`
}
