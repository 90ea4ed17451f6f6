/** What signals ask of a process: heeded from its first moment on, also while it starts. */

/** What is used of node's process. */
interface SignalSource {
  on(signal: 'SIGHUP', run: () => void): unknown
  once(signal: 'SIGTERM' | 'SIGINT', run: (signal: string) => void): unknown
}

export class AskedSignals {
  /** The first SIGTERM or SIGINT. Another one of the same name ends the process as it ends those that heed none. */
  readonly stop: Promise<string>
  #reload: (() => void) | undefined
  #isReloadWanted = false

  constructor(source: SignalSource) {
    source.on('SIGHUP', () => {
      if (this.#reload === undefined) this.#isReloadWanted = true
      else this.#reload()
    })
    this.stop = new Promise(resolve => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) source.once(name, resolve)
    })
  }

  /** From now on SIGHUP runs it; at once where one has come before. */
  onReload(reload: () => void): void {
    this.#reload = reload
    if (this.#isReloadWanted) reload()
  }
}
