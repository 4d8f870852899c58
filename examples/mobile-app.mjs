import { readFile, rm, writeFile } from 'node:fs/promises'
import * as oauth from 'oauth4webapi'

const { AUTH_URL = 'http://localhost:3000', TOKENS = 'tokens.json' } = process.env
const server = {
  issuer: `${AUTH_URL}/auth`,
  token_endpoint: `${AUTH_URL}/auth/refresh`,
  revocation_endpoint: `${AUTH_URL}/auth/logout`
}
const app = { client_id: 'app' }
const options = { [oauth.allowInsecureRequests]: true } // http, for this example only

// On a phone: Keychain, Keystore, SecureStore.
const load = async () => JSON.parse(await readFile(TOKENS, 'utf8').catch(() => '{}'))
const save = async (tokens) => await writeFile(TOKENS, JSON.stringify(tokens), { mode: 0o600 })
const forget = async () => await rm(TOKENS, { force: true })

async function login (username, password) {
  const response = await fetch(`${AUTH_URL}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password, native: true, device: 'My phone' })
  })
  if (!response.ok) throw new Error('wrong name or password')
  await save(await response.json())
}

let refreshing // by one request for all

async function refresh () {
  const { refresh_token: token } = await load()
  const response = await oauth.refreshTokenGrantRequest(server, app, oauth.None(), token, options)
  try {
    await save(await oauth.processRefreshTokenResponse(server, app, response))
  } catch (error) {
    // The session has ended. Whatever else went wrong, the token is good for another try.
    if (error instanceof oauth.ResponseBodyError && error.error === 'invalid_grant') await forget()
    throw error
  }
}

async function call (path) {
  const { access_token: token } = await load()
  if (token === undefined) throw new Error('not logged in')
  const url = new URL(path, AUTH_URL)
  const response = await oauth.protectedResourceRequest(
    token, 'GET', url, undefined, undefined, options)
  return await response.json()
}

async function get (path) {
  try {
    return await call(path)
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error
    refreshing ??= refresh().finally(() => { refreshing = undefined })
    await refreshing
    return await call(path)
  }
}

async function logout () {
  const { refresh_token: token } = await load()
  const response = await oauth.revocationRequest(server, app, oauth.None(), token, options)
  await oauth.processRevocationResponse(response)
  await forget()
}

const [command, ...args] = process.argv.slice(2)
try {
  console.log(await { login, get, logout }[command](...args) ?? `${command}: done`)
} catch ({ message, error = message }) {
  console.log(`${command}: ${error}`)
  process.exitCode = 1
}
