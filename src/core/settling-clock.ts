/**
 * A virtual clock for programs that read real files and ask real servers: it stands still while such work is under
 * way, so that an hour of scrapes and rules has done all its work when `advance` returns.
 */
import { systemClock, type Timer } from './clock.ts'
import { VirtualClock } from './virtual-clock.ts'

/** Real milliseconds: a server that never answers may not hold the time for ever, so that its deadline can come. */
const holdMsMax = 5000

export class SettlingClock extends VirtualClock {
  #holds = 0
  #yields = 0
  #onFree: (() => void) | undefined
  #advancing: Promise<void> = Promise.resolve()

  hold(): Timer {
    let isHeld = true
    const release = (): void => {
      if (!isHeld) return
      isHeld = false
      limit.cancel()
      if (--this.#holds === 0) this.#onFree?.()
    }
    const limit = systemClock.after(holdMsMax, release)
    this.#holds++
    return { cancel: release }
  }

  /** Work in pieces is under way until its last piece. */
  override async yield(): Promise<void> {
    this.#yields++
    await super.yield()
    this.#yields--
  }

  /** Advances one after another where several callers advance at once. */
  override advance(byMs: number): Promise<void> {
    const advanced = this.#advancing.then(() => super.advance(byMs))
    this.#advancing = advanced.catch(() => undefined)
    return advanced
  }

  /** Until nothing is held, and no work yields, for a whole turn of the event loop. */
  protected override async settle(): Promise<void> {
    for (;;) {
      if (this.#holds > 0) await this.#freed()
      await super.yield()
      if (this.#holds === 0 && this.#yields === 0) return
    }
  }

  #freed(): Promise<void> {
    return new Promise(resolve => {
      this.#onFree = () => {
        this.#onFree = undefined
        resolve()
      }
    })
  }
}
