import { createBatch } from './batch'
import type { Argument, Commands } from './send'
import { toAnswer, toRecord, type Answer } from './record'
import type { Script } from './scripts/script'
import type { Outcome, Rotation } from '../store'

/** A rotation on its way to the server; `key` is the hash of its user. */
interface Asked {
  key: string
  rotation: Rotation
  giveUpAt: number
}

/** Rotates sessions: together, where the server allows it, what is asked for in one turn of the event loop. */
export class Rotations {
  /** Whether one script may touch keys of several users. */
  together = false
  readonly #commands: Commands
  readonly #script: Script
  readonly #batch = createBatch(async (asked: Asked[]) => await this.#send(asked), share)

  constructor (commands: Commands, script: Script) {
    this.#commands = commands
    this.#script = script
  }

  async rotate (key: string, rotation: Rotation, within: number): Promise<Outcome> {
    const { outcome, packed, distance, msSinceRotation } = await this.#commands.inTime(within, (giveUpAt) => {
      const asked = { key, rotation, giveUpAt }
      return this.together ? this.#batch(asked) : this.#sendAlone(asked)
    })
    if (outcome === 'unknown') return { outcome }
    return { outcome: outcome as 'rotated' | 'repeated' | 'reused', session: toRecord(rotation.sid, packed), distance, msSinceRotation }
  }

  async #sendAlone (asked: Asked): Promise<Answer> {
    this.#commands.cork()
    const [answer] = await this.#send([asked])
    return answer as Answer
  }

  async #send (asked: Asked[]): Promise<Array<Answer | Promise<Answer>>> {
    const { signer, idleLifetime, gracePeriod } = (asked[0] as Asked).rotation
    const args: Argument[] = [signer, idleLifetime, gracePeriod]
    for (const { rotation: { sid, generation, text } } of asked) args.push(sid, generation, text === undefined ? '' : `=${text}`)
    const giveUpAt = Math.min(...asked.map(({ giveUpAt }) => giveUpAt))
    const answers = await this.#commands.send(this.#script, asked.map(({ key }) => key), args, giveUpAt).catch((error: Error) => {
      if (asked.length === 1 || error.name !== 'ReplyError') throw error
      if (error.message.startsWith('CROSSSLOT')) this.together = false
      return asked.map(() => null)
    })
    // What comes late is told once for all; what failed with others is sent alone, to hear why.
    return asked.map((each, i) => answers[i] === null ? this.#sendAlone(each) : toAnswer((answers[i] ?? answers[0]) as Buffer))
  }
}

const share = ({ rotation: a }: Asked, { rotation: b }: Asked) =>
  a.signer === b.signer && a.idleLifetime === b.idleLifetime && a.gracePeriod === b.gracePeriod
