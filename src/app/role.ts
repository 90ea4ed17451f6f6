/** What a role makes of a context: its parts, in the order of their start, and how the process looks at them. */
import type { Registry } from '#core/counter.ts'
import type { Remote } from '#forward/remote.ts'
import type { RequestObserver } from '#net/http.ts'
import type { Signal } from '#store/signal.ts'
import type { Part } from './part.ts'

/** How the process as a whole is asked by its own parts. */
export interface Process {
  readonly registry: Registry
  notReady(): string | undefined
  warnings(): string[]
  /** The parts in the order of their start, and what they do. */
  states(): PartState[]
  reload(): Promise<void>
}

export interface PartState {
  name: string
  state: 'New' | 'Starting' | 'Running' | 'Stopping'
}

export interface Composition {
  parts: Part[]
  signals: Signal[]
  /** Of an agent. */
  remotes: () => Remote[]
  onRequest: RequestObserver
}
