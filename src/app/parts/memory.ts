/** What requests share: the memory of the process, measured every second, and the turns of queries. */
import { Repeater } from '#core/clock.ts'
import type { Registry } from '#core/counter.ts'
import { collectGarbage } from '#core/garbage.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'

/** Heads and caches grow by what comes in within this time, at most, before it is noticed. */
const measureEveryMs = 1000

function register(registry: Registry, { memory, slowReaders }: Context): void {
  for (const account of memory.all()) {
    const labels = { account: account.name }
    const read = (name: string, help: string, type: 'counter' | 'gauge', value: () => number): void => {
      registry.read(name, help, type, value, labels)
    }
    read('tercet_memory_bytes', 'Memory that is held, as it is counted.', 'gauge', () => account.heldBytes)
    read('tercet_memory_limit_bytes', 'Memory that may be held.', 'gauge', () => account.bytesMax)
    read('tercet_memory_refused_total', 'Requests refused for want of memory.', 'counter', () => account.refused)
  }
  for (const protocol of ['http', 'grpc'] as const)
    registry.read(
      'tercet_slow_readers_total',
      'Clients disconnected because they took nothing of their answers within write_timeout.',
      'counter',
      () => slowReaders[protocol],
      { protocol },
    )
  registry.read('tercet_memory_total_bytes', 'Memory that all accounts hold.', 'gauge', () => memory.heldBytes)
  registry.read('tercet_memory_total_limit_bytes', 'Memory that they may hold.', 'gauge', () => memory.bytesMax)
}

function registerQueries(registry: Registry, { gate }: Context): void {
  const read = (name: string, help: string, type: 'counter' | 'gauge', value: () => number): void => {
    registry.read(name, help, type, value)
  }
  read('tercet_queries_running', 'Queries of all languages, and rules, that run.', 'gauge', () => gate.running)
  read('tercet_queries_waiting', 'Those that wait for their turn.', 'gauge', () => gate.waiting)
  read('tercet_queries_queued_total', 'Those that had to wait.', 'counter', () => gate.queued)
  read('tercet_queries_queue_seconds_total', 'Time that they waited.', 'counter', () => gate.queueSeconds)
  read('tercet_queries_refused_total', 'Those that found the queue full.', 'counter', () => gate.refused)
}

/** After so long without a query, what is kept for the next one is given back, but for this much. */
const idleMs = 60_000
const idleCacheBytes = 32 * 1024 * 1024

/** Heads that hold so much of their account are cut early, down to so much. */
const heads = { cutFrom: 0.8, cutTo: 0.6 }

/**
 * Measures what is held. Heads that are nearly full are cut early, so that nobody is refused; caches that nobody used
 * for a while give back most of theirs.
 */
export function measureMemory({ memory, gate }: Pick<Context, 'memory' | 'gate'>): void {
  memory.measure()
  const { heldBytes, bytesMax } = memory.account('heads')
  if (heldBytes > bytesMax * heads.cutFrom) memory.account('heads').reclaim(heldBytes - bytesMax * heads.cutTo)
  const caches = memory.account('caches')
  const spare = caches.heldBytes - idleCacheBytes
  if (spare > 0 && gate.idleMs >= idleMs) caches.reclaim(spare)
}

/** An agent's heap is a few MiB, gone through in some 10 ms: that often its garbage is given back, buffers with it. */
const collectEveryMs = 20_000

export function makeMemory(context: Context): Part {
  const { world, config } = context
  const isAgent = config.text('role') === 'agent'
  const repeaters: Repeater[] = []
  return makePart({
    name: 'memory',
    metrics: registry => {
      register(registry, context)
      if (!isAgent) registerQueries(registry, context)
    },
    start: () => {
      const every = (ms: number, run: () => void): void => {
        repeaters.push(new Repeater(world.realClock ?? world.clock, ms, () => Promise.resolve(run())))
      }
      every(measureEveryMs, () => {
        measureMemory(context)
      })
      if (isAgent)
        every(collectEveryMs, () => {
          collectGarbage(true)
        })
      return Promise.resolve()
    },
    stop: async () => {
      await Promise.all(repeaters.map(repeater => repeater.stop()))
    },
  })
}
