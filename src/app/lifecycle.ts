/** Starts the parts of a process in order and stops them in reverse, a failed start included. */
import type { Registry } from '#core/counter.ts'
import { messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import { StartError } from '#core/start-error.ts'
import type { Listener, Part } from './part.ts'
import type { PartState } from './role.ts'

/** The addresses that all parts share: HTTP and gRPC. */
export interface SharedServers {
  /** Opens every configured address, or none: what was opened before one fails is closed. */
  open(): Promise<void>
  /** Answers what is under way, and closes. */
  close(): Promise<void>
}

export interface Address {
  name: string
  address: string
}

export class Lifecycle {
  readonly #log: Log
  readonly #parts: readonly Part[]
  readonly #servers: SharedServers
  /** In the order of their start; `stop` takes them from the end. */
  readonly #started: Part[] = []
  readonly #listeners: Listener[] = []
  readonly listenerAddresses: Address[] = []
  #state: 'starting' | 'running' | 'stopping' = 'starting'
  #stopped: Promise<void> | undefined

  constructor(log: Log, parts: readonly Part[], servers: SharedServers) {
    this.#log = log
    this.#parts = parts
    this.#servers = servers
  }

  /**
   * Why parts are not asked: until all of them have started, and from the stop on. The addresses are open before that,
   * so that health can be asked.
   */
  get notRunning(): string | undefined {
    return this.#state === 'running' ? undefined : `the process is ${this.#state}`
  }

  /** Why the process is not ready; undefined: it is. */
  notReady(): string | undefined {
    if (this.#state !== 'running') return this.#state
    for (const part of this.#parts) {
      const reason = part.ready?.()
      if (reason !== undefined) return reason
    }
    return undefined
  }

  /** What does not work although the process is ready. */
  warnings(): string[] {
    return this.#parts.map(part => part.warning?.()).filter(warning => warning !== undefined)
  }

  /** Each part, as it is now. */
  states(): PartState[] {
    return this.#parts.map(part => ({ name: part.name, state: this.#stateOf(part) }))
  }

  #stateOf(part: Part): PartState['state'] {
    const place = this.#started.indexOf(part)
    if (place < 0) return 'New'
    if (this.#state === 'stopping') return 'Stopping'
    return this.#state === 'starting' && place === this.#started.length - 1 ? 'Starting' : 'Running'
  }

  /** Throws StartError; nothing is listening or running then. */
  async start(registry: Registry): Promise<void> {
    for (const part of this.#parts) part.metrics(registry)
    try {
      await naming('the addresses', () => this.#servers.open())
      for (const part of this.#parts) {
        this.#started.push(part)
        await naming(part.name, () => part.start())
      }
      for (const part of this.#parts) for (const listener of part.listeners) await this.#listen(listener)
    } catch (error) {
      await this.stop().catch((second: unknown) => {
        this.#log.warn('what had started before did not stop cleanly', { error: messageOf(second) })
      })
      throw error
    }
    this.#state = 'running'
  }

  async #listen(listener: Listener): Promise<void> {
    this.#listeners.push(listener)
    const address = await naming(listener.name, () => listener.open())
    if (address !== undefined) this.listenerAddresses.push({ name: listener.name, address })
  }

  /** Every part reads its files again, also when another one finds its own wrong; the first problem is thrown. */
  async reload(): Promise<void> {
    await eachInTurn(this.#parts.map(part => () => part.reload?.()))
  }

  /**
   * Closes the addresses, then stops the parts in reverse, each also when another one failed. A second call waits for
   * the first.
   */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stop())
  }

  async #stop(): Promise<void> {
    this.#state = 'stopping'
    for (const part of this.#started) part.drain?.()
    await eachInTurn([
      ...this.#listeners.map(listener => () => listener.close()),
      () => this.#servers.close(),
      ...this.#started.toReversed().map(part => () => part.stop()),
    ])
  }
}

/** Names the part in whatever its work throws. */
async function naming<T>(part: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof StartError ? error : new StartError(part, error)
  }
}

/** Does all of it, one after another, whatever fails; throws the first failure at the end. */
async function eachInTurn(works: readonly (() => Promise<void> | undefined)[]): Promise<void> {
  const failures: unknown[] = []
  for (const work of works) {
    try {
      await work()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}

/** One part of several that start and stop at once: none waits for another's disk or bucket. */
export function together(name: string, parts: readonly Part[]): Part {
  const all = async (work: (part: Part) => Promise<void> | undefined): Promise<void> => {
    const outcomes = await Promise.allSettled(parts.map(part => work(part)))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }
  return {
    name,
    routes: parts.flatMap(part => part.routes),
    sockets: parts.flatMap(part => part.sockets),
    grpc: parts.flatMap(part => part.grpc),
    listeners: parts.flatMap(part => part.listeners),
    metrics: registry => {
      for (const part of parts) part.metrics(registry)
    },
    start: () => all(part => naming(part.name, () => part.start())),
    drain: () => {
      for (const part of parts) part.drain?.()
    },
    stop: () => all(part => part.stop()),
    reload: () => all(part => part.reload?.()),
    ready: () => parts.map(part => part.ready?.()).find(reason => reason !== undefined),
    warning: () => {
      const warnings = parts.map(part => part.warning?.()).filter(warning => warning !== undefined)
      return warnings.length === 0 ? undefined : warnings.join('\n')
    },
  }
}
