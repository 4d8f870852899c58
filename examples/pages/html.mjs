const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escape = (text) => String(text).replace(/[&<>"']/g, (character) => entities[character])

/** Fills a template; what is put in is escaped, unless another template made it. */
function html (strings, ...values) {
  const parts = values.map((value) =>
    [value].flat().map((one) => one?.html ?? escape(one)).join(''))
  return { html: String.raw({ raw: strings }, ...parts) }
}

const page = (title, body) => `<!doctype html><html lang="en"><meta charset="utf-8">
<title>${escape(title)}</title>${body.html}`

export const loginPage = (to, wrong) => page('Log in', html`
<h1>Log in</h1>
${wrong ? html`<p>Wrong name or password</p>` : ''}
<form method="post">
  <input type="hidden" name="to" value="${to}">
  <label>Name <input name="username" autocomplete="username"></label>
  <label>Password
    <input name="password" type="password" autocomplete="current-password"></label>
  <button>Log in</button>
</form>`)

export const homePage = (name, notes) => page('Notes', html`
<h1>Hello ${name}</h1>
${[1, 2, 3, 4, 5, 6].map((i) => html`<img src="/pictures/${i}.svg" alt="" width="40">`)}
<form method="post" action="/notes"><input name="text"> <button>Add</button></form>
<ul id="notes">${notes.map((note) => html`<li>${note}</li>`)}</ul>
<p id="chat"></p>
<p><a href="/notes.txt">Download</a> <a href="/devices">Devices</a></p>
<form method="post" action="/logout"><button>Log out</button></form>
<script>
  new EventSource('/news').onmessage = ({ data }) => {
    const textContent = JSON.parse(data)
    notes.append(Object.assign(document.createElement('li'), { textContent }))
  }
  function connect () {
    const socket = new WebSocket('/chat')
    socket.onmessage = ({ data }) => { chat.textContent = data }
    socket.onclose = ({ code }) => { code === 4401 ? connect() : chat.textContent = '' }
  }
  connect()
</script>`)

export const devicesPage = (devices) => page('Devices', html`
<h1>Devices</h1>
<ul>${devices.map(({ sid, device, refreshedAt, current }) => html`
  <li>
    ${device ?? 'unknown'}, ${new Date(refreshedAt).toLocaleString('en')}
    <form method="post" action="/devices/${sid}">
      <button>${current ? 'This one: log out' : 'Log out'}</button>
    </form>
  </li>`)}</ul>
<form method="post" action="/everywhere"><button>Log out everywhere</button></form>`)

/** A picture of a color for each number. */
export const picture = (number) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2">
<circle cx="1" cy="1" r="1" fill="hsl(${number * 60} 70% 60%)"/></svg>`
