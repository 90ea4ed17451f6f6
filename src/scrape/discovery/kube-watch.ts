/**
 * Objects of one kind from a Kubernetes API: listed, then watched; listed again when the watch can't go on. Source:
 * the public API concepts of Kubernetes.
 */
import { backoffMs, Pauses } from '#core/backoff.ts'
import type { Clock } from '#core/clock.ts'
import { BadDataError, messageOf } from '#core/errors.ts'
import type { Log } from '#core/log.ts'
import type { ClientStream, HttpClient } from '#net/http-client.ts'
import { parseAnswer } from './fetch-json.ts'

/** An object of the API; `more` are the fields of its kind. */
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
    ownerReferences?: { kind: string; name: string; controller?: boolean }[]
  }
  [more: string]: unknown
}

/** What a watch reaches its API with. */
export interface WatchWorld {
  clock: Clock
  log: Log
  client: HttpClient
  apiServer: string
}

const pageSize = 500
const watchSeconds = 300
/** A page of 500 objects of 128 KiB each. */
const replyBytesMax = 64 * 1024 * 1024
/** etcd keeps no object of more than 1.5 MiB; some fields are in it twice. */
const eventBytesMax = 16 * 1024 * 1024
const retryPause = { leastMs: 500, mostMs: 30_000 }

const keyOf = (object: KubeObject): string => `${object.metadata.namespace ?? ''}/${object.metadata.name}`

/** The API does not know the kind, or the process may not see it. */
export class KindMissingError extends BadDataError {
  override name = 'KindMissingError'
}
/** The version to go on from is too old for the API. */
class GoneError extends Error {
  override name = 'GoneError'
}

/** Keeps `objects` as the API has them, by `namespace/name`, and calls `onChange` after every list and event. */
export class KubeWatch {
  readonly objects = new Map<string, KubeObject>()
  readonly #world: WatchWorld
  readonly #path: string
  readonly #query: readonly [string, string][]
  readonly #onChange: () => void
  /** The whole list was read once. */
  isSynced = false
  problem = ''
  #stopped = false
  #stream: ClientStream | undefined
  readonly #pauses: Pauses
  readonly #stopping = new AbortController()
  #running: Promise<void> | undefined

  constructor(world: WatchWorld, path: string, selectors: { label: string; field: string }, onChange: () => void) {
    this.#world = world
    this.#pauses = new Pauses(world.clock)
    this.#path = path
    const query: [string, string][] = [
      ['labelSelector', selectors.label],
      ['fieldSelector', selectors.field],
    ]
    this.#query = query.filter(([, value]) => value !== '')
    this.#onChange = onChange
  }

  start(): void {
    this.#running = this.#run()
  }

  async #run(): Promise<void> {
    let attempt = 0
    let version: string | undefined
    while (!this.#stopped) {
      try {
        version ??= await this.#list()
        this.problem = ''
        attempt = 0
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
        const pauseMs = backoffMs(attempt++, retryPause)
        await this.#pauses.wait(error instanceof KindMissingError ? retryPause.mostMs : pauseMs)
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
        signal: this.#stopping.signal,
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
            this.#world.client.hide(Buffer.from(reply.body).toString('utf8')).slice(0, 200),
        )
      const page = parseAnswer(reply.body, this.#path) as {
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
      signal: this.#stopping.signal,
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
          const line = rest.subarray(at, end)
          at = end + 1
          if (line.toString('latin1', 0, 8).trim() !== '')
            version =
              this.#take(
                parseAnswer(line, this.#path) as {
                  type: string
                  object: KubeObject & { code?: number; message?: string }
                },
              ) ?? version
        }
        rest = rest.subarray(at)
        if (rest.length > eventBytesMax)
          throw new BadDataError(`watch of ${this.#path}: an event is larger than ${eventBytesMax} bytes`)
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
    this.#stopping.abort()
    this.#stream?.close()
    this.#pauses.end()
    await this.#running
  }
}
