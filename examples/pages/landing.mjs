const self = 'http://self.invalid'

/** Returns the path that `to` names on this site, or `/`. */
export function landing (to) {
  if (typeof to !== 'string' || !to.startsWith('/') || !URL.canParse(to, self)) return '/'
  const { origin, pathname, search } = new URL(to, self)
  // A path that begins with two slashes would name a host.
  return origin === self ? pathname.replace(/^\/+/, '/') + search : '/'
}
