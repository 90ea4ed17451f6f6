/** Queries that are being answered at this moment, by number; each can be ended. */
import type { Clock } from '#core/clock.ts'
import { withSignal, type Handler, type Route } from '#net/route-table.ts'
import type { QueryGate } from '#query/gate.ts'

export interface RunningQuery {
  id: number
  language: string
  text: string
  startedMs: number
  tenant: string
}

type Pieces = AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>

const languages: readonly (readonly [RegExp, string])[] = [
  [/^\/(prometheus\/)?api\/v1\/(query|query_range|query_exemplars|series)$/, 'PromQL'],
  [/^\/(select\/logsql\/)?loki\/api\/v1\/(query|query_range|series|index\/|detected_|patterns)/, 'LogQL'],
  [/^\/select\/logsql\//, 'LogsQL'],
  [/^\/api\/(v2\/)?(search|metrics\/)/, 'TraceQL'],
]

export class RunningQueries {
  readonly #clock: Clock
  readonly #gate: QueryGate
  readonly #running = new Map<number, { query: RunningQuery; control: AbortController; signal: AbortSignal }>()
  #next = 1

  constructor(clock: Clock, gate: QueryGate) {
    this.#clock = clock
    this.#gate = gate
  }

  /** With the seconds since each came, those in the queue included. */
  list(): (RunningQuery & { seconds: number; isWaiting: boolean })[] {
    return [...this.#running.values()].map(({ query, signal }) => ({
      ...query,
      isWaiting: this.#gate.isWaiting(signal),
      seconds: (this.#clock.monotonicMs() - query.startedMs) / 1000,
    }))
  }

  /** Whether there was such a one. */
  cancel(id: number): boolean {
    const found = this.#running.get(id)
    found?.control.abort()
    return found !== undefined
  }

  /** The same routes, with what they answer on the list while they do. */
  watched<R extends Route>(routes: readonly R[]): R[] {
    return routes.map(route => {
      const language = languages.find(([path]) => path.test(route.path))?.[1]
      return language === undefined ? route : { ...route, handler: this.#watch(route.handler, language) }
    })
  }

  async *#until(body: Pieces, id: number): AsyncGenerator<string | Uint8Array> {
    try {
      yield* body
    } finally {
      this.#running.delete(id)
    }
  }

  #watch(handler: Handler, language: string): Handler {
    return async request => {
      let parameters = request.query
      // A form that can't be read is answered by the route, in its dialect.
      if (request.method !== 'GET')
        try {
          parameters = await request.form()
        } catch {
          return handler(request)
        }
      const id = this.#next++,
        control = new AbortController()
      const text = parameters.get('query') ?? parameters.get('q') ?? parameters.getAll('match[]').join(' ')
      if (text === '') return handler(request)
      const signal = AbortSignal.any([request.signal, control.signal])
      const own = { ...withSignal(request, signal), form: () => Promise.resolve(parameters) }
      this.#running.set(id, {
        control,
        signal,
        query: {
          id,
          language,
          text: text.slice(0, 2000),
          startedMs: this.#clock.monotonicMs(),
          tenant: request.header('x-scope-orgid') ?? '',
        },
      })
      let isStreaming = false
      try {
        const reply = await handler(own),
          { body } = reply
        if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return reply
        // It runs for as long as it is sent.
        isStreaming = true
        return { ...reply, body: this.#until(body, id) }
      } finally {
        if (!isStreaming) this.#running.delete(id)
      }
    }
  }
}
