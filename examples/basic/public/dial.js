/* global requestAnimationFrame */

/** Shows what is left of the access token. */
export function startDial (dial, seconds, renewals) {
  const circle = dial.querySelector('.left')
  let lifetime = 1
  let until = 0
  let count = 0

  function draw () {
    const left = Math.max(0, until - performance.now())
    circle.style.strokeDasharray = `${100 * left / lifetime} 100`
    dial.classList.toggle('late', left < lifetime / 4)
    seconds.textContent = Math.ceil(left / 1000)
    requestAnimationFrame(draw)
  }
  draw()

  return {
    /** Begins anew, as `onToken` of the client tells. */
    renew (expiresIn) {
      lifetime = expiresIn * 1000
      until = performance.now() + lifetime
      renewals.textContent = ++count
    }
  }
}
