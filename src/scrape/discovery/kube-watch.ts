/**
 * Objects of one kind from a Kubernetes API: listed, then watched; listed again when the watch can't go on. Source:
 * the public API concepts of Kubernetes.
 */
import type { Clock, Timer } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { ClientStream, HttpClient } from '#net/http-client.ts'

export interface KubeObject {
  apiVersion?: string
  kind?: string
  metadata: {
    name: string
    namespace?: string
    uid?: string
    resourceVersion?: string
    labels?: Record<string, string>
    annotations?: Record<string, string>
    generation?: number
  }
  [more: string]: unknown
}

export interface WatchWorld {
  clock: Clock
  log: Log
  client: HttpClient
  apiServer: string
}

const pageSize = 500
const watchSeconds = 300
const replyBytesMax = 256 * 1024 * 1024
const backoffMs = { least: 500, most: 30_000 }

const keyOf = (object: KubeObject): string => `${object.metadata.namespace ?? ''}/${object.metadata.name}`

/** The API doesn't know the kind, or the process may not see it. */
export class KindMissingError extends BadDataError {
  override name = 'KindMissingError'
}
class GoneError extends Error {
  override name = 'GoneError'
}

export class KubeWatch {
  readonly objects = new Map<string, KubeObject>()
  readonly #world: WatchWorld
  readonly #path: string
  readonly #query: readonly [string, string][]
  readonly #onChange: () => void
  /** The whole list was there once. */
  isSynced = false
  problem = ''
  #stopped = false
  #stream: ClientStream | undefined
  #timer: Timer | undefined
  #wake: (() => void) | undefined
  readonly #gone = new AbortController()
  #running: Promise<void> | undefined

  constructor(world: WatchWorld, path: string, selectors: { label: string; field: string }, onChange: () => void) {
    this.#world = world
    this.#path = path
    this.#query = [
      ...(selectors.label === '' ? [] : [['labelSelector', selectors.label]]),
      ...(selectors.field === '' ? [] : [['fieldSelector', selectors.field]]),
    ] as [string, string][]
    this.#onChange = onChange
  }

  start(): void {
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    let waitMs = backoffMs.least
    let version: string | undefined
    while (!this.#stopped) {
      try {
        version ??= await this.#list()
        this.problem = ''
        waitMs = backoffMs.least
        version = await this.#watch(version)
      } catch (error) {
        if (this.#stopped) return
        if (error instanceof GoneError) {
          version = undefined
          continue
        }
        version = undefined
        this.problem = messageOf(error)
        this.#world.log.warn('a list of objects is not kept up', { path: this.#path, error: this.problem })
        if (error instanceof KindMissingError && !this.isSynced) {
          this.isSynced = true
          this.#onChange()
        }
        await new Promise<void>(resolve => {
          this.#wake = resolve
          this.#timer = this.#world.clock.after(error instanceof KindMissingError ? backoffMs.most : waitMs, resolve)
        })
        waitMs = Math.min(backoffMs.most, waitMs * 2)
      }
    }
  }

  async #list(): Promise<string> {
    const found = new Map<string, KubeObject>()
    let next = ''
    let version = ''
    do {
      const query = new URLSearchParams([
        ...this.#query,
        ['limit', String(pageSize)],
        ...(next === '' ? [] : [['continue', next]]),
      ])
      const reply = await this.#world.client.send(`${this.#world.apiServer}${this.#path}?${query.toString()}`, {
        headers: { accept: 'application/json' },
        timeoutMs: 60_000,
        bodyBytesMax: replyBytesMax,
        signal: this.#gone.signal,
      })
      if (reply.status === 410) {
        next = ''
        found.clear()
        continue
      }
      if (reply.status === 404 || reply.status === 403)
        throw new KindMissingError(`${this.#path}: the API answered ${reply.status}`)
      if (reply.status !== 200)
        throw new BadDataError(
          `${this.#path}: the API answered ${reply.status}: ` +
            `${Buffer.from(reply.body.subarray(0, 200)).toString('utf8')}`,
        )
      const page = JSON.parse(Buffer.from(reply.body).toString('utf8')) as {
        metadata?: { resourceVersion?: string; continue?: string }
        items?: KubeObject[] | null
      }
      for (const item of page.items ?? []) found.set(keyOf(item), item)
      version = page.metadata?.resourceVersion ?? ''
      next = page.metadata?.continue ?? ''
    } while (next !== '')
    this.objects.clear()
    for (const [key, item] of found) this.objects.set(key, item)
    this.isSynced = true
    this.#onChange()
    return version
  }

  /** Until the API ends the watch; gives the version to go on from. */
  async #watch(from: string): Promise<string> {
    let version = from
    const query = new URLSearchParams([
      ...this.#query,
      ['watch', '1'],
      ['allowWatchBookmarks', 'true'],
      ['resourceVersion', version],
      ['timeoutSeconds', String(watchSeconds)],
    ])
    const stream = await this.#world.client.stream(`${this.#world.apiServer}${this.#path}?${query.toString()}`, {
      headers: { accept: 'application/json', 'accept-encoding': 'identity' },
      timeoutMs: 30_000,
      signal: this.#gone.signal,
    })
    this.#stream = stream
    try {
      if (stream.status === 410) throw new GoneError()
      if (stream.status !== 200) throw new BadDataError(`watch of ${this.#path}: the API answered ${stream.status}`)
      let rest = Buffer.alloc(0)
      for await (const chunk of stream.body) {
        rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
        let at = 0
        for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, at)) {
          const line = rest.toString('utf8', at, end)
          at = end + 1
          if (line.trim() !== '')
            version =
              this.#take(
                JSON.parse(line) as { type: string; object: KubeObject & { code?: number; message?: string } },
              ) ?? version
        }
        rest = rest.subarray(at)
        if (rest.length > replyBytesMax)
          throw new BadDataError(`watch of ${this.#path}: an event is larger than ${replyBytesMax} bytes`)
      }
    } finally {
      stream.close()
      this.#stream = undefined
    }
    return version
  }

  #take({
    type,
    object,
  }: {
    type: string
    object: KubeObject & { code?: number; message?: string }
  }): string | undefined {
    if (type === 'ERROR') {
      if (object.code === 410) throw new GoneError()
      throw new BadDataError(`watch of ${this.#path}: ${object.message ?? 'an error'}`)
    }
    if (type === 'ADDED' || type === 'MODIFIED') this.objects.set(keyOf(object), object)
    else if (type === 'DELETED') this.objects.delete(keyOf(object))
    if (type !== 'BOOKMARK') this.#onChange()
    return object.metadata.resourceVersion
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    this.#gone.abort()
    this.#stream?.close()
    this.#wake?.()
    await this.#running
  }
}
