/** What finds targets: groups of label sets that change over time. */
import type { Clock } from '#core/clock.ts'
import { Repeater } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { maskUrls } from '#core/secret.ts'
import type { HttpClientSettings } from '#lang/settings/http-client.ts'
import type { HttpClient } from '#net/http-client.ts'

/** `targets`: each target's own labels, `__address__` at least; `labels`: shared by all targets of the group. */
export interface TargetGroup {
  source: string
  targets: [string, string][][]
  labels: [string, string][]
}

/** Finds targets from `start` to `stop`. */
export interface Discovery {
  /** Calls `onGroups` with all groups, and again whenever one changed. */
  start(onGroups: (groups: readonly TargetGroup[]) => void): void
  stop(): Promise<void>
}

/** What a discovery reaches the world with. */
export interface DiscoveryWorld {
  clock: Clock
  files: Files
  log: Log
  /** Paths in the configuration begin here. */
  directory: string
  client: (settings: HttpClientSettings) => HttpClient
  resolve: NameResolver
  /** Where a process in a cluster finds its API and its credentials. */
  env: Readonly<Record<string, string | undefined>>
}

/** DNS, handed in. */
export interface NameResolver {
  srv(name: string): Promise<{ name: string; port: number }[]>
  addresses(name: string, family: 4 | 6): Promise<string[]>
  mx(name: string): Promise<string[]>
  ns(name: string): Promise<string[]>
}

/** Looks for targets every `refreshMs`; when a look fails, the last groups stay. */
export class PollingDiscovery implements Discovery {
  readonly #world: DiscoveryWorld
  readonly #what: string
  readonly #refreshMs: number
  readonly #look: () => Promise<TargetGroup[]>
  readonly #end: () => Promise<void>
  #repeater: Repeater | undefined
  #last = ''
  #isStopped = false

  constructor(
    world: DiscoveryWorld,
    what: string,
    refreshMs: number,
    look: () => Promise<TargetGroup[]>,
    end: () => Promise<void> = () => Promise.resolve(),
  ) {
    this.#world = world
    this.#what = what
    this.#refreshMs = refreshMs
    this.#look = look
    this.#end = end
  }

  start(onGroups: (groups: readonly TargetGroup[]) => void): void {
    const look = async (): Promise<void> => {
      try {
        const groups = await this.#look()
        const text = JSON.stringify(groups)
        if (this.#isStopped || text === this.#last) return
        this.#last = text
        onGroups(groups)
      } catch (error) {
        if (!this.#isStopped)
          this.#world.log.warn('targets could not be looked for; the last ones stay', {
            discovery: maskUrls(this.#what),
            error: messageOf(error),
          })
      }
    }
    void look()
    this.#repeater = new Repeater(this.#world.clock, this.#refreshMs, look)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#repeater?.stop()
    await this.#end()
  }
}
