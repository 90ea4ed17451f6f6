/** /loki/api/v1/delete: requests to delete lines. Source: docs/http-api.md. */
import type { TenantOf } from '#api/tenancy.ts'
import type { Clock } from '#core/clock.ts'
import { parseDurationMs } from '#core/duration.ts'
import { BadDataError, NotFoundError } from '#core/errors.ts'
import { parseLogql } from '#lang/logql/parser.ts'
import { type Handler } from '#net/route-table.ts'
import { ok } from './respond.ts'

export interface DeletionStore {
  requestDeletion(tenant: string, query: string, fromMs: number, throughMs: number): Promise<void>
  deletionRequests(
    tenant: string,
  ): readonly { id: string; query: string; fromMs: number; throughMs: number; createdMs: number; status: string }[]
  cancelDeletion(tenant: string, id: string): Promise<boolean>
}

/** Seconds of ten digits, or RFC 3339. */
function parseTime(text: string, name: string): number {
  if (/^\d{10}$/.test(text)) return Number(text) * 1000
  const ms = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(ms)) throw new BadDataError(`invalid ${name} time: require unix seconds or RFC3339 format`)
  return ms
}

export function deletionHandlers({
  store,
  clock,
  tenantOf,
}: {
  store: DeletionStore
  clock: Clock
  tenantOf: TenantOf
}): { add: Handler; list: Handler; cancel: Handler } {
  return {
    add: async request => {
      const form = await request.form()
      const query = form.get('query') ?? '',
        start = form.get('start') ?? '',
        end = form.get('end') ?? ''
      if (query === '') throw new BadDataError('query not set')
      if (query !== '{}' && parseLogql(query).kind !== 'log')
        throw new BadDataError('only log queries can be used to delete')
      if (start === '') throw new BadDataError('start time not set')
      const fromMs = parseTime(start, 'start'),
        nowMs = clock.nowMs()
      const throughMs = end === '' ? nowMs : parseTime(end, 'end')
      if (throughMs > nowMs) throw new BadDataError('deletes in the future are not allowed')
      if (fromMs > throughMs) throw new BadDataError("start time can't be greater than end time")
      const interval = form.get('max_interval')
      if (interval !== null && interval !== '' && parseDurationMs(interval) === undefined)
        throw new BadDataError(`invalid max_interval: ${interval}`)
      await store.requestDeletion(tenantOf(request), query, fromMs, throughMs)
      return { status: 204 }
    },
    list: request =>
      Promise.resolve(
        ok(
          JSON.stringify(
            store.deletionRequests(tenantOf(request)).map(r => ({
              request_id: r.id,
              start_time: r.fromMs / 1000,
              end_time: r.throughMs / 1000,
              query: r.query,
              status: r.status,
              created_at: r.createdMs / 1000,
              user_id: tenantOf(request),
            })),
          ),
        ),
      ),
    cancel: async request => {
      const id = request.query.get('request_id') ?? ''
      if (id === '' || !(await store.cancelDeletion(tenantOf(request), id)))
        throw new NotFoundError('could not find delete request with given id')
      return { status: 204 }
    },
  }
}
