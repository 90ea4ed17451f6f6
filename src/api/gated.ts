/** Routes that wait for their turn among the queries of all APIs. */
import type { Caller } from '#net/access.ts'
import { withSignal, type Route } from '#net/route-table.ts'
import type { QueryGate } from '#query/gate.ts'

/**
 * The same routes, where the gate starts the handler of each route that takes turns. An error of the gate, such as a
 * refusal, is answered by the `refuse` of that route, in the format of its API. `ownerOf`: whose a query is.
 */
export function gated<R extends Route>(
  gate: QueryGate,
  routes: readonly R[],
  ownerOf: (caller: Caller) => string = () => '',
): R[] {
  return routes.map(route => (route.takesTurns === true ? gatedRoute(gate, route, ownerOf) : route))
}

function gatedRoute<R extends Route>(gate: QueryGate, route: R, ownerOf: (caller: Caller) => string): R {
  const { handler, refuse, timeoutOf } = route
  return {
    ...route,
    handler: async request => {
      try {
        // Read before it waits: a slow sender keeps nobody from running.
        const isForm = /^(application\/x-www-form-urlencoded|multipart\/)/i.test(request.header('content-type') ?? '')
        if (request.method === 'POST' && !isForm) await request.rawBody()
        const timeoutMs = timeoutOf?.(await request.form()) ?? Infinity
        const work = (signal: AbortSignal): ReturnType<typeof handler> => handler(withSignal(request, signal))
        return await gate.run(request.signal, timeoutMs, work, { owner: ownerOf(request) })
      } catch (error) {
        if (refuse === undefined) throw error
        return refuse(error)
      }
    },
  }
}
