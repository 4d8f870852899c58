import { createClient } from 'fastify-jwt-sessions/client'
import { dpopFetch } from 'fastify-jwt-sessions/client/dpop'
import { startDial } from './dial.js'
import { startTrouble } from './trouble.js'

const $ = (id) => document.getElementById(id)
const dial = startDial($('dial'), $('seconds'), $('renewals'))

// Binds a login to a key of this page, and proves the key with each refresh afterwards.
const prove = dpopFetch()
const send = (input, init) => {
  const unbound = (input.url ?? input).endsWith('/login') && !$('bound').checked
  return (unbound ? fetch : prove)(input, init)
}

const auth = createClient({
  prefix: '/auth',
  fetch: send,
  onToken: dial.renew,
  onSessionEnd: () => showSignIn('You are signed out.')
})

$('sign-in').addEventListener('submit', async (event) => {
  event.preventDefault()
  const response = await auth.login('/login', Object.fromEntries(new FormData(event.target)))
  if (response.ok) await showSignedIn()
  else $('sign-in-says').textContent = (await response.json()).message
})

$('log-out').addEventListener('click', () => logOut({ all: false }))
$('log-out-everywhere').addEventListener('click', () => logOut({ all: true }))
$('add-device').addEventListener('click', async () => {
  await auth.fetch('/auth/stunts/device', { method: 'POST' })
  await showDevices()
})

async function logOut (options) {
  const response = await auth.logout(options)
  if (!response.ok) {
    $('devices-say').textContent = `Not logged out: the server answers ${response.status}.`
  }
}

function showSignIn (why = '') {
  $('signed-in').hidden = true
  $('sign-in').hidden = false
  $('sign-in-says').textContent = why
}

async function showSignedIn () {
  const response = await auth.fetch('/me')
  if (!response.ok) return
  $('name').textContent = (await response.json()).name
  $('sign-in').hidden = true
  $('signed-in').hidden = false
  await showDevices()
}

async function showDevices () {
  try {
    const response = await auth.fetch('/devices')
    $('devices-say').textContent = response.ok
      ? ''
      : `The server answers ${response.status}; you stay signed in.`
    if (response.ok) renderDevices(await response.json())
  } catch (error) {
    $('devices-say').textContent = `${error.message}; you stay signed in.`
  }
}

function renderDevices (devices) {
  const shown = JSON.stringify(devices.map(({ sid, bound, current }) => [sid, bound, current]))
  if ($('devices').dataset.shown === shown) return // keeps the focus where it is
  $('devices').dataset.shown = shown
  $('devices').replaceChildren(...devices.map(({ sid, device, bound, current }) => {
    const item = document.createElement('li')
    const button = document.createElement('button')
    item.append(device, bound ? ', bound' : '', current ? ' (this one)' : '', button)
    button.textContent = 'Log out'
    button.setAttribute('aria-label', `Log out ${device}`)
    button.addEventListener('click', async () => {
      await auth.fetch(`/devices/${sid}`, { method: 'DELETE' })
      await showDevices()
    })
    return item
  }))
}

startTrouble($, send)
$('where').textContent = `Sessions are ${(await (await fetch('/where')).json()).where}.`

if (await auth.restore().catch(() => false)) await showSignedIn()
else showSignIn()

// What a page with something to show does anyway; the client renews the token along the way.
setInterval(() => $('signed-in').hidden || showDevices(), 1500)
