/**
 * Keeps foreign pages from acting here with a visitor's browser: a request that changes something, and comes from a
 * page (a browser names it in `Origin`), must come from a page of this server. Programs send no Origin, and need none.
 */
import type { HttpReply, Route } from './route-table.ts'

const refusal: HttpReply = {
  status: 403,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body:
    'a page of another origin may not do this here; ' +
    'behind a proxy, let it pass the Host header on, or X-Forwarded-Host\n',
}

/** Whether a request may have come from a page of this server. */
export function isSameOrigin(header: (name: string) => string | undefined): boolean {
  const origin = header('origin')
  if (origin === undefined) return header('sec-fetch-site') !== 'cross-site'
  if (!URL.canParse(origin)) return false
  const { host } = new URL(origin),
    hosts = [header('host'), ...(header('x-forwarded-host') ?? '').split(',').map(h => h.trim())]
  return hosts.includes(host)
}

/** The same routes; the guarded ones refuse foreign pages. */
export function guardOrigin<R extends Route>(routes: readonly R[], isGuarded: (route: R) => boolean): R[] {
  return routes.map(route =>
    isGuarded(route)
      ? {
          ...route,
          handler: async request => (isSameOrigin(name => request.header(name)) ? route.handler(request) : refusal),
        }
      : route,
  )
}
