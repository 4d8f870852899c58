import type { FastifyInstance, InjectOptions } from 'fastify'

/** Sends what a `BindingBrowser` sends to an application that listens, with a body of its own. */
export function over (origin: string, loginBody: object): FastifyInstance {
  const inject = async ({ method, url, headers, payload }: InjectOptions) => {
    const body = payload === undefined ? undefined : JSON.stringify(loginBody)
    const type: Record<string, string> =
      body === undefined ? {} : { 'content-type': 'application/json' }
    const response = await fetch(`${origin}${String(url)}`, {
      method, headers: { ...headers as Record<string, string>, ...type }, body, redirect: 'manual'
    })
    const text = await response.text()
    const cookies = response.headers.getSetCookie().map((line) => {
      const [, name = '', value = '', attributes = ''] = /^(.*?)=(.*?);(.*)$/.exec(line) ?? []
      return { name, value, maxAge: Number(/Max-Age=(\d+)/.exec(attributes)?.[1] ?? NaN) }
    })
    return {
      statusCode: response.status,
      headers: Object.fromEntries(response.headers),
      cookies,
      body: text,
      json: () => JSON.parse(text) as unknown
    }
  }
  return { inject } as unknown as FastifyInstance
}
