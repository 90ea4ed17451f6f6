/** The browser program: files that were built before, served from memory under a strict Content-Security-Policy. */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { Random } from '#core/random.ts'
import type { HttpReply, HttpRequest, Route } from '#net/route-table.ts'

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

/** `nonce` is for the styles that the editor makes; nothing else may be inline. */
function policy(nonce: string): string {
  return `default-src 'none'; script-src 'self'; style-src 'self' 'nonce-${nonce}'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
}

const common = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'same-origin' } as const

/** Paths of pages: all below /ui/, which the program reads by itself, and the first one where a browser asks. `welcome` is for everybody else. */
export function uiRoutes(files: ReadonlyMap<string, Uint8Array>, welcome: string, random: Random): Route[] {
  const plain = async (): Promise<HttpReply> => ({
      status: 200,
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: welcome,
    }),
    index = files.get('index.html')
  if (index === undefined) return [{ methods: ['GET'], path: '/', handler: plain }]
  const page = Buffer.from(index).toString('utf8'),
    assets = new Map<string, Asset>()
  for (const [path, bytes] of files)
    if (path !== 'index.html')
      assets.set(path, {
        bytes,
        packed: undefined,
        type: types[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream',
        tag: `"${createHash('sha256').update(bytes).digest('hex').slice(0, 20)}"`,
      })
  const html = async (): Promise<HttpReply> => {
    const nonce = Buffer.from(random.bytes(16)).toString('base64')
    return {
      status: 200,
      headers: {
        ...common,
        'content-type': types['html']!,
        'cache-control': 'no-cache',
        'content-security-policy': policy(nonce),
      },
      body: page.replaceAll('__NONCE__', nonce),
    }
  }
  const asset = async (request: HttpRequest): Promise<HttpReply> => {
    const found = assets.get(`assets/${request.params['file'] ?? ''}`)
    if (found === undefined)
      return {
        status: 404,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body: 'no such file; the page may be of an earlier version: load it anew\n',
      }
    const headers = {
      ...common,
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
  // Where links of alerts lead, and those that people have kept of a Prometheus: /graph?g0.expr=…&g0.range_input=1h
  const graph = async ({ query }: HttpRequest): Promise<HttpReply> => {
    const params = new URLSearchParams({ q: query.get('g0.expr') ?? '' }),
      range = query.get('g0.range_input'),
      isTable = query.get('g0.tab') === '1' || query.get('g0.tab') === 'table'
    if (range !== null) params.set('range', range)
    if (isTable) params.set('view', 'table')
    return { status: 302, headers: { location: `/ui/metrics?${params.toString()}` } }
  }
  return [
    { methods: ['GET'], path: '/graph', handler: graph },
    { methods: ['GET'], path: '/query', handler: graph },
    ...['alerts', 'rules'].map((page): Route => ({
      methods: ['GET'],
      path: `/${page}`,
      handler: async () => ({ status: 302, headers: { location: `/ui/${page}` } }),
    })),
    {
      methods: ['GET'],
      path: '/',
      handler: request => (request.header('accept')?.includes('text/html') === true ? html() : plain()),
    },
    { methods: ['GET'], path: '/ui', handler: html },
    { methods: ['GET'], path: '/ui/*', handler: html },
    { methods: ['GET'], path: '/assets/:file', handler: asset },
  ]
}
