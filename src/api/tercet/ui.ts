/** The browser program: files that were built before, served from memory under a strict Content-Security-Policy. */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { ownOf } from '#core/own.ts'
import type { Random } from '#core/random.ts'
import { known } from '#net/access.ts'
import {
  allowing,
  at,
  route,
  type GuardedRoute,
  type Handler,
  type HttpReply,
  type HttpRequest,
  type Route,
} from '#net/route-table.ts'

const types: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  json: 'application/json',
  woff2: 'font/woff2',
  map: 'application/json',
}

/** Packed when it is first asked for: a start should not wait for it. */
interface Asset {
  bytes: Uint8Array
  packed: Uint8Array | undefined
  type: string
  tag: string
}

function typeOf(path: string): string {
  return ownOf(types, path.slice(path.lastIndexOf('.') + 1)) ?? 'application/octet-stream'
}

const noAsset: HttpReply = {
  status: 404,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body: 'no such file; the page may be of an earlier version: load it again\n',
}

/** `nonce` is for the styles that the editor makes; nothing else may be inline. */
function policy(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
}

/**
 * All paths below /ui/, which the program reads by itself; / where a browser asks for it; and where links of alerts
 * lead. `welcome` answers programs at /.
 */
export function uiRoutes(files: ReadonlyMap<string, Uint8Array>, welcome: string, random: Random): GuardedRoute[] {
  const plain: Handler = async () => ({
    status: 200,
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: welcome,
  })
  const index = files.get('index.html')
  if (index === undefined) return allowing(known, [route(['GET'], '/', plain)])
  const page = pageHandler(Buffer.from(index).toString('utf8'), random)
  const isBrowser = (request: HttpRequest): boolean => request.header('accept')?.includes('text/html') === true
  return allowing(known, [
    ...linkRoutes(),
    route(['GET'], '/', request => (isBrowser(request) ? page(request) : plain(request))),
    route(['GET'], '/ui', page),
    route(['GET'], '/ui/*', page),
    route(['GET'], '/assets/:file', assetHandler(files)),
  ])
}

/** The one page, with a nonce of its own for each reply. */
function pageHandler(page: string, random: Random): Handler {
  return async () => {
    const nonce = Buffer.from(random.bytes(16)).toString('base64')
    return {
      status: 200,
      headers: {
        'content-type': typeOf('index.html'),
        'cache-control': 'no-cache',
        'content-security-policy': policy(nonce),
      },
      body: page.replaceAll('__NONCE__', nonce),
    }
  }
}

function assetHandler(files: ReadonlyMap<string, Uint8Array>): Handler {
  const assets = new Map<string, Asset>()
  for (const [path, bytes] of files)
    if (path !== 'index.html')
      assets.set(path, {
        bytes,
        packed: undefined,
        type: typeOf(path),
        tag: `"${createHash('sha256').update(bytes).digest('hex').slice(0, 20)}"`,
      })
  return async request => {
    const found = assets.get(`assets/${request.params['file'] ?? ''}`)
    if (found === undefined) return noAsset
    const headers = {
      'content-type': found.type,
      etag: found.tag,
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'accept-encoding',
    }
    if (request.header('if-none-match') === found.tag) return { status: 304, headers }
    if (request.header('accept-encoding')?.includes('gzip') !== true) return { status: 200, headers, body: found.bytes }
    found.packed ??= gzipSync(found.bytes, { level: 9 })
    return { status: 200, headers: { ...headers, 'content-encoding': 'gzip' }, body: found.packed }
  }
}

/** Paths of a Prometheus, to which alerts and people's own links lead: /graph?g0.expr=...&g0.range_input=1h */
function linkRoutes(): Route[] {
  const redirect = (location: string): HttpReply => ({ status: 302, headers: { location } })
  const graph: Handler = async ({ query }) => {
    const params = new URLSearchParams({ q: query.get('g0.expr') ?? '' })
    const range = query.get('g0.range_input')
    const tab = query.get('g0.tab')
    if (range !== null) params.set('range', range)
    if (tab === '1' || tab === 'table') params.set('view', 'table')
    return redirect(`/ui/metrics?${params.toString()}`)
  }
  return [
    ...at(['GET'], ['/graph', '/query'], graph),
    ...['alerts', 'rules'].map(page => route(['GET'], `/${page}`, async () => redirect(`/ui/${page}`))),
  ]
}
