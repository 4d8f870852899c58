import type { StoreUnavailableError } from '../errors'

const text = { type: 'string' }

/** Describes the verdicts on a form. @see RFC 6749 §5.2 */
export const describeOAuthErrors = (): Record<string, unknown> => ({
  type: 'object',
  description: 'The verdict, in answer to a form',
  required: ['error', 'error_description'],
  properties: { error: text, error_description: text }
})

/** Describes the answers that refuse, by their status, each with the codes that it may carry. */
export function describeRefusals (
  Refusals: Array<typeof StoreUnavailableError>
): Record<string, unknown> {
  const byStatus: Record<number, string[]> = {}
  for (const Refusal of Refusals) {
    const { statusCode, code } = new Refusal()
    ;(byStatus[statusCode] ??= []).push(code)
  }
  return Object.fromEntries(Object.entries(byStatus).map(([status, codes]) => [status, {
    type: 'object',
    description: codes.join(', '),
    required: ['statusCode', 'code', 'error', 'message'],
    properties: {
      statusCode: { type: 'integer' },
      code: { type: 'string', enum: codes },
      error: text,
      message: text
    }
  }]))
}
