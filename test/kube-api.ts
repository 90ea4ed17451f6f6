/**
 * A Kubernetes API as far as list and watch go: resource versions, pages, bookmarks, 410 Gone, and access by
 * ClusterRole rules.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'

export interface KubeItem {
  apiVersion?: string
  kind?: string
  metadata: {
    name: string
    namespace?: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
    resourceVersion?: string
  }
  [more: string]: unknown
}
export interface RoleRule {
  apiGroups: string[]
  resources: string[]
  verbs: string[]
}

interface Event {
  version: number
  path: string
  type: 'ADDED' | 'MODIFIED' | 'DELETED'
  object: KubeItem
}
interface Watcher {
  path: string
  namespace: string
  reply: ServerResponse
  matches: (item: KubeItem) => boolean
}

export class KubeApi {
  readonly #server: Server
  /** By `group/resource`. */
  readonly #items = new Map<string, Map<string, KubeItem>>()
  #version = 100
  #events: Event[] = []
  #oldest = 0
  readonly #watchers = new Set<Watcher>()
  readonly requests: string[] = []
  readonly refused: string[] = []
  port = 0
  /** undefined: everybody may everything. */
  rules: RoleRule[] | undefined
  token = 'secret-token'

  constructor() {
    this.#server = createServer((request, reply) => {
      this.#answer(request, reply)
    })
  }

  async start(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#server.listen(0, '127.0.0.1', () => {
        resolve()
      })
    })
    this.port = (this.#server.address() as { port: number }).port
  }

  async stop(): Promise<void> {
    for (const { reply } of this.#watchers) reply.destroy()
    await new Promise(resolve => {
      this.#server.close(resolve)
      this.#server.closeAllConnections()
    })
  }

  /** `resource`: as in a path, `pods` or `monitoring.coreos.com/servicemonitors`. */
  put(resource: string, item: KubeItem): void {
    const all = this.#of(resource)
    const key = `${item.metadata.namespace ?? ''}/${item.metadata.name}`
    const type = all.has(key) ? 'MODIFIED' : 'ADDED'
    const stored = { ...item, metadata: { ...item.metadata, resourceVersion: String(++this.#version) } }
    all.set(key, stored)
    this.#notify(resource, type, stored)
  }

  remove(resource: string, namespace: string, name: string): void {
    const all = this.#of(resource)
    const item = all.get(`${namespace}/${name}`)
    all.delete(`${namespace}/${name}`)
    if (item !== undefined)
      this.#notify(resource, 'DELETED', {
        ...item,
        metadata: { ...item.metadata, resourceVersion: String(++this.#version) },
      })
  }

  /** Every watch ends, and those that go on from before get 410. */
  forgetHistory(): void {
    this.#oldest = ++this.#version
    this.#events = []
    const object = { kind: 'Status', code: 410, message: 'too old resource version' }
    for (const { reply } of this.#watchers) {
      reply.write(`${JSON.stringify({ type: 'ERROR', object })}\n`)
      reply.end()
    }
    this.#watchers.clear()
  }

  bookmark(): void {
    const version = String(++this.#version)
    for (const { reply } of this.#watchers)
      reply.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: version } } })}\n`)
  }

  get watches(): number {
    return this.#watchers.size
  }

  #of(resource: string): Map<string, KubeItem> {
    let all = this.#items.get(resource)
    if (all === undefined) this.#items.set(resource, (all = new Map()))
    return all
  }

  #notify(path: string, type: Event['type'], object: KubeItem): void {
    this.#events.push({ version: this.#version, path, type, object })
    for (const w of this.#watchers)
      if (w.path === path && (w.namespace === '' || w.namespace === object.metadata.namespace) && w.matches(object))
        w.reply.write(`${JSON.stringify({ type, object })}\n`)
  }

  #answer(request: IncomingMessage, reply: ServerResponse): void {
    const url = new URL(request.url!, 'http://x')
    this.requests.push(`${request.method} ${url.pathname}${url.search}`)
    const fail = (code: number, message: string): void => {
      this.refused.push(`${code} ${url.pathname}`)
      reply
        .writeHead(code, { 'content-type': 'application/json' })
        .end(JSON.stringify({ kind: 'Status', code, message }))
    }
    if (request.headers.authorization !== `Bearer ${this.token}`) {
      fail(401, 'Unauthorized')
      return
    }
    const match = /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)\/(?:namespaces\/([^/]+)\/)?([^/]+)(?:\/([^/]+))?$/.exec(
      url.pathname,
    )
    if (match === null || request.method !== 'GET') {
      fail(404, 'not found')
      return
    }
    const [, group = '', namespace = '', resource = '', name] = match
    const isWatch = url.searchParams.get('watch') === '1' || url.searchParams.get('watch') === 'true'
    const verb = name !== undefined ? 'get' : isWatch ? 'watch' : 'list'
    if (
      this.rules !== undefined &&
      !this.rules.some(r => r.apiGroups.includes(group) && r.resources.includes(resource) && r.verbs.includes(verb))
    ) {
      fail(403, `cannot ${verb} ${resource}`)
      return
    }
    const path =
      group === '' || ['discovery.k8s.io', 'networking.k8s.io'].includes(group) ? resource : `${group}/${resource}`
    const all = this.#items.get(path)
    // A kind whose definition is not installed.
    if (group.includes('coreos') || group.includes('victoriametrics'))
      if (all === undefined) {
        fail(404, 'the server could not find the requested resource')
        return
      }
    const selector = url.searchParams.get('labelSelector') ?? ''
    const fields = (url.searchParams.get('fieldSelector') ?? '')
      .split(',')
      .filter(pair => pair !== '')
      .map(pair => pair.split('='))
    const isField = (item: KubeItem): boolean =>
      fields.every(
        ([path = '', value]) =>
          path.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown> | undefined)?.[part], item) ===
          value,
      )
    const matches = (item: KubeItem): boolean =>
      isField(item) &&
      (selector === '' ||
        selector.split(',').every(pair => {
          const [key = '', value] = pair.split('=')
          return item.metadata.labels?.[key] === value
        }))
    const chosen = [...(all ?? new Map<string, KubeItem>()).values()].filter(
      item => (namespace === '' || item.metadata.namespace === namespace) && matches(item),
    )
    if (name !== undefined) {
      const item = chosen.find(i => i.metadata.name === name)
      if (item === undefined) fail(404, 'not found')
      else reply.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(item))
      return
    }
    if (!isWatch) {
      const limit = Number(url.searchParams.get('limit') ?? '0') || Infinity
      const from = Number(url.searchParams.get('continue') ?? '0')
      const page = chosen.slice(from, from + Math.min(limit, 2))
      reply.writeHead(200, { 'content-type': 'application/json' }).end(
        JSON.stringify({
          kind: 'List',
          metadata: {
            resourceVersion: String(this.#version),
            ...(from + page.length < chosen.length ? { continue: String(from + page.length) } : {}),
          },
          items: page,
        }),
      )
      return
    }
    const since = Number(url.searchParams.get('resourceVersion') ?? '0')
    if (since < this.#oldest) {
      fail(410, 'too old resource version')
      return
    }
    reply.writeHead(200, { 'content-type': 'application/json' })
    reply.flushHeaders()
    const watcher: Watcher = { path, namespace, reply, matches }
    this.#watchers.add(watcher)
    reply.on('close', () => {
      this.#watchers.delete(watcher)
    })
    for (const event of this.#events)
      if (
        event.version > since &&
        event.path === path &&
        (namespace === '' || namespace === event.object.metadata.namespace) &&
        matches(event.object)
      )
        reply.write(`${JSON.stringify({ type: event.type, object: event.object })}\n`)
  }
}
