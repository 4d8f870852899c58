const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escape = (text) => String(text).replace(/[&<>"']/g, (character) => entities[character])

/** Fills a template; what is put in is escaped, unless another template made it. */
function html (strings, ...values) {
  const parts = values.map((value) =>
    [value].flat().map((one) => one?.html ?? escape(one)).join(''))
  return { html: String.raw({ raw: strings }, ...parts) }
}

const page = ({ home, stylesheet }, title, body) => `<!doctype html><html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title><base href="${home}"><link rel="icon" href="data:,">
${stylesheet ? `<link rel="stylesheet" href="${stylesheet}">` : ''}${body.html}`

export const loginPage = (site, to, wrong) => page(site, 'Log in', html`
<form method="post" action="login" id="sign-in" class="card">
  <h1>Log in</h1>
  <input type="hidden" name="to" value="${to}">
  <label>Name <input name="username" placeholder="ada" autocomplete="username"></label>
  <label>Password <input name="password" type="password" placeholder="lovelace"
    autocomplete="current-password"></label>
  <button class="main">Log in</button>
  <p role="alert">${wrong ? 'Wrong name or password' : ''}</p>
</form>`)

export const homePage = (site, name, notes) => page(site, 'Notes', html`
<h1>Hello ${name}</h1>
<p>${[1, 2, 3, 4, 5, 6].map((i) => html`<img src="pictures/${i}.svg" alt="" width="40">`)}</p>
<form method="post" action="notes"><input name="text" aria-label="Note"> <button>Add</button></form>
<ul id="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>
<p id="chat"></p>
<form method="post" action="logout" class="buttons">
  <a class="button" href="notes.txt">Download</a> <a class="button" href="devices">Devices</a>
  <button>Log out</button>
</form>
<script>
  new EventSource('news').onmessage = ({ data }) => {
    const textContent = JSON.parse(data)
    notes.append(Object.assign(document.createElement('li'), { textContent }))
  }
  function connect () {
    const socket = new WebSocket(new URL('chat', document.baseURI))
    socket.onmessage = ({ data }) => { chat.textContent = data }
    socket.onclose = ({ code }) => { code === 4401 ? connect() : chat.textContent = '' }
  }
  connect()
</script>
<section class="card">
  <h2>What to look at</h2>
  <ul>
    <li>The cookies, in the developer tools under Application: no script can read them. The one of
      the access token is gone after ${site.lifetime}; the other stays.</li>
    <li>The answer to whatever is asked for next brings a new one, be it a page, a picture, a form
      or the stream of notes: <code>Set-Cookie</code>, under Network. Nothing fails.</li>
    <li>The source of this page: its script listens to the stream and the socket, and knows nothing
      of logins. No form has a hidden token; one on a page of another site is refused, 403.</li>
    <li><a href="devices" target="_blank">Devices, in a second tab</a>: log this one out there.
      Stream and socket end within a second, and the next click leads to the login.</li>
  </ul>
</section>`)

export const devicesPage = (site, devices) => page(site, 'Devices', html`
<h1>Devices</h1>
<ul id="devices">${devices.map(({ sid, device, refreshedAt, current }) => html`
  <li>
    ${device ?? 'unknown'}, ${new Date(refreshedAt).toLocaleString('en')}
    <form method="post" action="devices/${sid}">
      <button>${current ? 'This one: log out' : 'Log out'}</button>
    </form>
  </li>`)}</ul>
<form method="post" action="everywhere" class="buttons">
  <a class="button" href="${site.home}">Notes</a> <button>Log out everywhere</button>
</form>`)

/** A picture of a color for each number. */
export const picture = (number) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2">
<circle cx="1" cy="1" r="1" fill="hsl(${number * 60} 70% 60%)"/></svg>`
