// The buttons that make trouble, and the log of what the server sees. An application has none of
// this.
const post = async (path) => await (await fetch(`/auth/stunts/${path}`, { method: 'POST' })).json()

const verdicts = {
  fresh: 'It was still fresh; your page will notice within seconds',
  spent: 'Worthless, and the session is over for thief and victim alike',
  bound: 'Worthless without the key, and nothing has happened: your page goes on'
}

/** `send` is a fetch that proves the key of a bound session. */
export function startTrouble ($, send) {
  const on = (id, run) => $(id).addEventListener('click', run)

  on('lose', async () => {
    await post('lose')
    $('trouble-says').textContent =
      'The next answer to a refresh will be lost. Watch the dial: you will not be logged out.'
  })

  on('twice', async () => {
    const refresh = () => send('/auth/refresh', { method: 'POST' })
    const [a, b] = await Promise.all([refresh(), refresh()])
    $('trouble-says').textContent =
      `${a.status} and ${b.status}: one rotated, the other was given the same token again.`
  })

  on('store', async () => {
    const { away } = await post('store')
    $('trouble-says').textContent = away
      ? 'Gone. Refreshes answer 503 and spend nothing.'
      : 'Back again.'
    await show()
  })

  on('steal', async () => {
    await post('steal')
    $('replay').disabled = false
    $('theft-says').textContent = 'Copied. The page goes on as if nothing had happened.'
  })

  on('replay', async () => {
    const { answer, outcome } = await post('replay')
    $('theft-says').textContent = `The thief is answered ${answer}. ${verdicts[outcome]}.`
  })

  async function show () {
    const { away, log } = await (await fetch('/auth/stunts')).json()
    $('store').setAttribute('aria-pressed', away)
    $('store').textContent = away ? 'Give the store back' : 'Take the store away'
    const newest = log.at(-1)?.id ?? -1
    if ($('log').dataset.newest === String(newest)) return
    $('log').dataset.newest = newest
    $('log').replaceChildren(...log.reverse().map(({ event, sub, sid, generation, text }) => {
      const item = document.createElement('li')
      item.className = event
      item.textContent = text
        ? `${event} ${text}`
        : [event, sub, sid && `session ${sid}…`, generation && `generation ${generation}`]
            .filter(Boolean)
            .join(' · ')
      return item
    }))
  }
  show()
  setInterval(show, 700)
}
