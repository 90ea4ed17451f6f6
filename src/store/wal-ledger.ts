/**
 * Which generations of which writers are released: all that they hold is in blocks. It is written before their segments
 * are removed, so that a segment whose removal failed is not read back. It also says how far the chain of links has
 * come: where all links are removed, the next writer goes on from there, and so meets the one that it replaces.
 */
import { messageOf, NotFoundError } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { Log } from '#core/log.ts'
import { NewerFormatError, refuseNewer, versionOfState } from '#core/own-formats.ts'
import { encodeUtf8 } from '#core/text.ts'
import type { Bucket } from '#bucket/bucket.ts'

export interface ReleaseLedgerOptions {
  files: Files
  log: Log
  bucket: Bucket
  bucketPrefix: string
  directory: string
}

const fileName = 'released.json'
/** Beside the writers, which have ULIDs. */
const linksKey = 'links'
/** Writers that are remembered: the segments of older ones are gone for long. */
const writersMax = 64

export class ReleaseLedger {
  readonly #options: ReleaseLedgerOptions
  /** By writer: the newest generation that is released; all of its older ones are, too. */
  #throughOf = new Map<string, number>()
  /** The number of the link behind all that were removed. */
  links = 0

  constructor(options: ReleaseLedgerOptions) {
    this.#options = options
  }

  get isEmpty(): boolean {
    return this.#throughOf.size === 0
  }

  covers(writer: string, generation: number): boolean {
    return generation <= (this.#throughOf.get(writer) ?? -1)
  }

  async loadLocal(): Promise<void> {
    const { files, directory } = this.#options
    await this.#load(() => files.read(`${directory}/${fileName}`))
  }

  async loadRemote(): Promise<void> {
    const { bucket, bucketPrefix } = this.#options
    await this.#load(() => bucket.get(bucketPrefix + fileName))
  }

  async #load(read: () => Promise<Uint8Array>): Promise<void> {
    let bytes: Uint8Array
    try {
      bytes = await read()
    } catch (error) {
      if (error instanceof NotFoundError) return
      throw error
    }
    try {
      const found: unknown = JSON.parse(Buffer.from(bytes).toString())
      refuseNewer('log-ledger', versionOfState(found), fileName)
      if (typeof found !== 'object' || found === null) throw new Error('not an object')
      for (const [name, value] of Object.entries(found)) {
        if (typeof value !== 'number' || name === 'version') continue
        if (name === linksKey) this.links = Math.max(this.links, value)
        else this.#throughOf.set(name, Math.max(this.#throughOf.get(name) ?? -1, value))
      }
    } catch (error) {
      if (error instanceof NewerFormatError) throw error
      // Without it segments are read back that blocks cover: nothing is lost.
      this.#options.log.warn('write-ahead log: the ledger of released segments is damaged', { error: messageOf(error) })
    }
  }

  /** `nextLink`: the number of the next link. False when it could not be written; nothing is released then. */
  async add(writer: string, generation: number, nextLink: number): Promise<boolean> {
    const { files, directory, bucket, bucketPrefix, log } = this.#options
    const links = Math.max(this.links, nextLink)
    if (this.covers(writer, generation) && links === this.links) return true
    const next = new Map(this.#throughOf)
    next.delete(writer)
    next.set(writer, Math.max(generation, this.#throughOf.get(writer) ?? -1))
    const bytes = encodeUtf8(JSON.stringify({ ...Object.fromEntries([...next].slice(-writersMax)), [linksKey]: links }))
    try {
      await bucket.put(bucketPrefix + fileName, bytes)
      // Blocks that covered the generation may go from now on: the disk may not forget it in a power failure.
      await files.writeAtomic(`${directory}/${fileName}`, bytes, true)
    } catch (error) {
      log.warn('write-ahead log: a generation could not be released, trying again', { error: messageOf(error) })
      return false
    }
    this.#throughOf = next
    this.links = links
    return true
  }
}
