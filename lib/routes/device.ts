import type { FastifyInstance } from 'fastify'
import { createBindDevice } from '../actions/bind-device'
import { createProveDevice } from '../actions/prove-device'
import type { DeviceBinding } from '../binding/dbsc/binding'
import { toEnd } from '../binding/dbsc/instructions'
import { readItem } from '../binding/dbsc/response'
import type { RouteExtras } from '../options/options'
import type { Services } from '../services'
import { refuseWithHeaders } from './refusals'

const challengeHeader = 'secure-session-challenge'

/**
 * Registers `POST {prefix}/device`, which browsers call by themselves: to register the key of a
 * device after a login, and to prove it before a refresh. A browser's proof is answered 200, 403
 * with a challenge, or 5xx: anything else would end its binding.
 */
export function registerDevice (
  scope: FastifyInstance, services: Services, binding: DeviceBinding, options: RouteExtras
): void {
  const bindDevice = createBindDevice(services, binding)
  const proveDevice = createProveDevice(services, binding)
  const { readCredentials } = services

  scope.post('/device', options, async (request, reply) => {
    const { headers } = request
    const credentials = readCredentials({ headers })
    const response = headers['secure-session-response']
    const identifier = readItem(headers['sec-secure-session-id'])
    reply.header('cache-control', 'no-store')
    if (identifier === undefined) {
      const bound = await refuseWithHeaders(request, reply,
        async () => await bindDevice(credentials, request, response))
      reply.header(challengeHeader, bound.challenge)
      return bound.instructions
    }
    const proving = proveDevice(credentials, request, identifier, response)
    switch (proving.outcome) {
      case 'proven':
        binding.proofCookie.write(reply, proving.proof, undefined)
        return await reply.send()
      case 'challenged':
        request.log.info({ reason: proving.reason }, 'proof refused')
        return await reply.code(403).header(challengeHeader, proving.challenge).send()
      case 'over':
        return toEnd(identifier)
    }
  })
}
