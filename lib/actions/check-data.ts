import { findNoJson, type Complain } from '../session/claims'

const longestData = 1024

/** Checks what an application puts aside with a session. @throws what `complain` creates */
export function checkData (data: unknown, complain: Complain): unknown {
  if (data === undefined) return undefined
  const fault = findNoJson(data, 'data')
  if (fault !== undefined) throw complain(`${fault}; it must be plain JSON`)
  const bytes = Buffer.byteLength(JSON.stringify(data))
  if (bytes > longestData) {
    throw complain(`data has ${bytes} bytes as JSON; ${longestData} are the most`)
  }
  return data
}
