import { createClient } from '/client/client.mjs'

const $ = (id) => document.getElementById(id)
const auth = createClient({ onSessionEnd: show })
const json = (method, body) => ({
  method,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body)
})

async function say (response, done) {
  $('message').textContent = response.ok
    ? done
    : ((await response.json().catch(() => ({}))).message ?? 'That did not work.')
  return response.ok
}

async function show () {
  const response = await auth.fetch('/account/')
  $('in').hidden = !response.ok
  $('out').hidden = response.ok
  if (!response.ok) return
  const { name, devices } = await response.json()
  $('name').textContent = name
  $('devices').replaceChildren(...devices.map(({ sid, device, refreshedAt, current }) => {
    const line = document.createElement('li')
    line.textContent = `${device ?? 'A device'}, ${current ? 'this one' : `last seen ${new Date(refreshedAt).toLocaleString()}`} `
    if (!current) {
      const button = document.createElement('button')
      button.textContent = 'Log out'
      button.onclick = async () => {
        await say(await auth.fetch(`/account/devices/${sid}`, { method: 'DELETE' }), 'Logged out.')
        await show()
      }
      line.append(button)
    }
    return line
  }))
}

$('enter').onsubmit = async (event) => {
  event.preventDefault()
  const { name, password, remember } = Object.fromEntries(new FormData(event.target))
  if (
    await say(
      await auth.login(event.submitter.value, { name, password, remember: remember === 'on' }),
      ''
    )
  ) {
    await show()
  }
}

$('password').onsubmit = async (event) => {
  event.preventDefault()
  await say(
    await auth.fetch(
      '/account/password',
      json('PUT', Object.fromEntries(new FormData(event.target)))
    ),
    'Changed.'
  )
  await show()
}

$('leave').onclick = async () => { await say(await auth.logout(), 'Logged out.') }

await show()
