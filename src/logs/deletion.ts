/**
 * Deletion requests: kept in the bucket, applied by queries from the moment they are accepted. Each state of the list
 * has an object of its own (bucket/numbered-states.ts); `deletions.json` has the newest as well, or one shortly before
 * it. A copy on the disk stands in while the bucket is away.
 */
import type { Bucket } from '#bucket/bucket.ts'
import { newestState, putState, stateAt, type NumberedState } from '#bucket/numbered-states.ts'
import { makeUlid } from '#codec/ulid.ts'
import type { Clock } from '#core/clock.ts'
import { CorruptDataError, messageOf } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { NewerFormatError, refuseNewer, versionOfState } from '#core/own-formats.ts'
import type { Random } from '#core/random.ts'
import { encodeUtf8 } from '#core/text.ts'

export interface DeletionRequest {
  id: string
  tenant: string
  query: string
  fromMs: number
  throughMs: number
  createdMs: number
  status: 'received' | 'processed' | 'cancelled'
}

export interface DeletionOptions {
  bucket: Bucket
  clock: Clock
  random: Random
  files: Files
  log: Log
  /** Undefined: no copy is kept on the disk. */
  directory: string | undefined
  defaultTenant: string
}

/** Objects of older states go. */
const statesKept = 64

export class DeletionRequests {
  readonly #options: DeletionOptions
  readonly #prefix: string
  readonly #key: string
  #requests: DeletionRequest[] = []
  /** How many changes made the list. */
  #number = 0

  constructor(options: DeletionOptions) {
    this.#options = options
    this.#prefix = `${options.defaultTenant}/tercet/`
    this.#key = `${this.#prefix}deletions.json`
  }

  /** Why the requests could not be read; answers may show lines then that were to be deleted. */
  problem: { key: string; reason: string } | undefined
  /** What could not be read: it is kept beside its place when requests are written again. */
  #damaged: Uint8Array | undefined

  /** Takes what the disk has, until the bucket is there. */
  async loadLocal(): Promise<void> {
    const { files, log } = this.#options
    const path = this.#localPath
    const copy = path === undefined ? undefined : await stateAt(() => files.read(path), 0)
    if (copy === undefined) return
    try {
      this.#take(decodeList(copy.bytes))
    } catch (error) {
      if (error instanceof NewerFormatError) throw error
      log.warn('the copy of the requests for deletion is damaged', { error: messageOf(error) })
    }
  }

  async load(): Promise<void> {
    const { bucket } = this.#options
    const newest = await newestState(await this.#noted(), number => bucket.get(this.#stateKey(number)))
    try {
      this.#take({ ...decodeList(newest.bytes), number: newest.number })
    } catch (error) {
      if (error instanceof NewerFormatError) throw error
      // What this disk, or this process, has of the same state is whole.
      if (this.#number === newest.number && newest.number > 0) return
      this.#number = newest.number
      const reason = `requests for deletion can't be read, lines that were to be deleted may show: ${messageOf(error)}`
      this.problem = { key: this.#key, reason }
      this.#damaged = newest.bytes
      return
    }
    this.problem = this.#damaged = undefined
    await this.#copy(newest.bytes)
  }

  #take({ number, requests }: NumberedList): void {
    this.#number = number
    this.#requests = requests
  }

  /** The state that `deletions.json` has; where that is damaged, the newest that the bucket lists. */
  async #noted(): Promise<NumberedState> {
    const { bucket, log } = this.#options
    const noted = await stateAt(() => bucket.get(this.#key), 0)
    if (noted === undefined) return { number: 0, bytes: encodeUtf8('[]') }
    try {
      return { ...noted, number: decodeList(noted.bytes).number }
    } catch (error) {
      if (error instanceof NewerFormatError) throw error
      const last = (await bucket.list(`${this.#prefix}deletions-`)).at(-1)?.key
      if (last === undefined) return noted
      log.warn('the list of requests for deletion is damaged, its last copy is taken', { error: messageOf(error) })
      return { number: Number(/(\d+)\.json$/.exec(last)?.[1]), bytes: await bucket.get(last) }
    }
  }

  #stateKey(number: number): string {
    return `${this.#prefix}deletions-${String(number).padStart(9, '0')}.json`
  }

  get #localPath(): string | undefined {
    const { directory } = this.#options
    return directory === undefined ? undefined : `${directory}/deletions.json`
  }
  async #copy(bytes: Uint8Array): Promise<void> {
    const { files, log } = this.#options
    if (this.#localPath === undefined) return
    try {
      await files.writeAtomic(this.#localPath, bytes)
    } catch (error) {
      log.warn('the requests for deletion could not be copied to the disk', { error: messageOf(error) })
    }
  }

  of(tenant: string): readonly DeletionRequest[] {
    return this.#requests.filter(r => r.tenant === tenant)
  }

  async add(tenant: string, query: string, fromMs: number, throughMs: number): Promise<void> {
    const { clock, random } = this.#options
    const request: DeletionRequest = {
      id: makeUlid(clock.nowMs(), random).toLowerCase().slice(-8),
      tenant,
      query,
      fromMs,
      throughMs,
      createdMs: clock.nowMs(),
      status: 'received',
    }
    await this.#change(requests => [...requests, request])
  }

  /** The tenant is deleted: what comes later under its name is another one's. */
  async dropTenant(tenant: string): Promise<void> {
    if (this.of(tenant).length > 0) await this.#change(requests => requests.filter(r => r.tenant !== tenant))
  }

  /** Requests made before the time that are not done. */
  due(madeBeforeMs: number): readonly DeletionRequest[] {
    return this.#requests.filter(r => r.status === 'received' && r.createdMs <= madeBeforeMs)
  }

  async finish({ tenant, id }: DeletionRequest): Promise<void> {
    await this.#change(requests =>
      requests.map(r => (r.tenant === tenant && r.id === id ? { ...r, status: 'processed' as const } : r)),
    )
  }

  /** False when there is no such request, or it is done. */
  async cancel(tenant: string, id: string): Promise<boolean> {
    let isThere = false
    await this.#change(requests => {
      const rest = requests.filter(r => r.tenant !== tenant || r.id !== id || r.status === 'processed')
      isThere = rest.length < requests.length
      return isThere ? rest : requests
    })
    return isThere
  }

  /** One change after the other: each keeps what the one before it wrote. */
  async #change(edit: (requests: DeletionRequest[]) => DeletionRequest[]): Promise<void> {
    const change = this.#changing.then(async () => {
      for (;;) {
        const requests = edit(this.#requests)
        if (requests === this.#requests || (await this.#save(requests))) return
        // A change that seemed to fail is there all the same.
        await this.load()
      }
    })
    this.#changing = change.catch(() => {})
    await change
  }
  #changing: Promise<void> = Promise.resolve()

  /** False when the bucket has a newer list. */
  async #save(requests: DeletionRequest[]): Promise<boolean> {
    const { bucket } = this.#options
    if (this.#damaged !== undefined) await bucket.put(`${this.#key}.damaged`, this.#damaged)
    this.#damaged = undefined
    const number = this.#number + 1
    const bytes = encodeUtf8(JSON.stringify({ number, requests } satisfies NumberedList))
    if (!(await putState(bucket, this.#stateKey(number), bytes))) return false
    this.#take({ number, requests })
    await this.#copy(bytes)
    await this.#noteNewest(number, bytes)
    return true
  }

  /** The change is kept already: where this fails, the next change makes up for it. */
  async #noteNewest(number: number, bytes: Uint8Array): Promise<void> {
    const { bucket, log } = this.#options
    try {
      await bucket.put(this.#key, bytes)
      // None goes that the way from the noted state to the newest needs.
      if (number > statesKept) await bucket.delete(this.#stateKey(number - statesKept))
    } catch (error) {
      log.warn('the newest list of requests for deletion could not be noted', { error: messageOf(error) })
    }
  }
}

interface NumberedList {
  number: number
  requests: DeletionRequest[]
}

/** Throws CorruptDataError, and NewerFormatError. A list without a number is the form of before. */
function decodeList(bytes: Uint8Array): NumberedList {
  let found: unknown
  try {
    found = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw new CorruptDataError(messageOf(error), { cause: error })
  }
  refuseNewer('deletions', versionOfState(found), 'the list of requests for deletion')
  const { number, requests } = (Array.isArray(found) ? { number: 0, requests: found } : (found ?? {})) as {
    number?: unknown
    requests?: unknown
  }
  if (!Number.isSafeInteger(number) || !Array.isArray(requests))
    throw new CorruptDataError('a list of requests was expected')
  return { number: number as number, requests: requests as DeletionRequest[] }
}
