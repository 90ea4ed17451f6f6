/** Files that a part reads again when they have changed: by the clock, and by a reload. */
import { Repeater } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { World } from './world.ts'

/** What was taken back in a file is of no use after this. */
const lookEveryMs = 10_000

export interface RereadOptions {
  /** For messages: `the file of tenants is wrong: ...`. */
  readonly what: string
  /** Takes what is new, and says whether something is. Throws for what is wrong, and what was read before holds. */
  read(): Promise<boolean>
  /** After each look by the clock, whatever was read. */
  onLook?(): Promise<void>
}

export class Reread {
  readonly #world: Pick<World, 'clock' | 'log'>
  readonly #options: RereadOptions
  #problem: string | undefined
  #repeater: Repeater | undefined

  constructor(world: Pick<World, 'clock' | 'log'>, options: RereadOptions) {
    this.#world = world
    this.#options = options
  }

  /** What of the files is wrong, while they are. */
  get warning(): string | undefined {
    return this.#problem === undefined ? undefined : `${this.#options.what} is wrong: ${this.#problem}`
  }

  /** Throws what `read` throws. */
  async readAgain(): Promise<void> {
    const { what, read } = this.#options
    try {
      const hasChanged = await read()
      this.#problem = undefined
      if (hasChanged) this.#world.log.info(`${what} has changed and was read again`)
    } catch (error) {
      this.#problem = messageOf(error)
      throw error
    }
  }

  /** From now on what has changed is read; what is wrong is said once. */
  start(): void {
    const { clock, log } = this.#world
    const { what, onLook } = this.#options
    this.#repeater = new Repeater(clock, lookEveryMs, async () => {
      const before = this.#problem
      await this.readAgain().catch(() => undefined)
      if (this.#problem !== undefined && this.#problem !== before)
        log.error(`${what} is wrong; what was read before holds`, { error: this.#problem })
      await onLook?.()
    })
  }

  async stop(): Promise<void> {
    await this.#repeater?.stop()
  }
}
