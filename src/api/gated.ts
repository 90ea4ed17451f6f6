/** Routes that wait for their turn among the queries of all APIs. */
import { withSignal, type Route } from '#net/route-table.ts'
import type { QueryGate } from '#query/gate.ts'

/**
 * The same routes; those that take turns are run by the gate. What the gate throws is answered in the dialect of the
 * route.
 */
export function gated(gate: QueryGate, routes: readonly Route[]): Route[] {
  return routes.map(route => (route.takesTurns === true ? gatedRoute(gate, route) : route))
}

function gatedRoute(gate: QueryGate, route: Route): Route {
  const { handler, refuse, timeoutOf } = route
  return {
    ...route,
    handler: async request => {
      try {
        // Read before it waits: a slow sender keeps nobody from running.
        const isForm = /^(application\/x-www-form-urlencoded|multipart\/)/i.test(request.header('content-type') ?? '')
        if (request.method === 'POST' && !isForm) await request.rawBody()
        const timeoutMs = timeoutOf?.(await request.form()) ?? Infinity
        return await gate.run(request.signal, timeoutMs, signal => handler(withSignal(request, signal)))
      } catch (error) {
        if (refuse === undefined) throw error
        return refuse(error)
      }
    },
  }
}
