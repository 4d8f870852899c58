/** Calls `end` once the access token of a request has expired, or its session has ended. */
export function whenEnded (request, end) {
  const check = setInterval(() => request.authenticate().catch(end), 1000)
  return () => clearInterval(check)
}
