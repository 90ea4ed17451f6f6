/** Handlers that wait for their turn among the queries of all APIs. */
import { withSignal, type Handler, type HttpRequest } from '#net/route-table.ts'
import type { QueryGate } from '#query/gate.ts'

export interface GatedOptions {
  /** Milliseconds that the request allows, where it says so; undefined: what the limits allow. */
  timeoutOf?: (form: URLSearchParams) => number | undefined
  /** Reads what the request brings before it waits: a slow sender keeps nobody from running. */
  read?: (request: HttpRequest) => Promise<unknown>
}

/**
 * The same handler, run by the gate. What the handler throws is thrown, and what the gate throws: within the dialect
 * both are answered as the dialect has it.
 */
export function gated(gate: QueryGate, handler: Handler, { timeoutOf, read }: GatedOptions = {}): Handler {
  return async request => {
    if (read !== undefined) await read(request)
    const form = read === undefined || timeoutOf !== undefined ? await request.form() : undefined
    const timeoutMs = (form === undefined ? undefined : timeoutOf?.(form)) ?? Infinity
    return gate.run(request.signal, timeoutMs, signal => handler(withSignal(request, signal)))
  }
}
