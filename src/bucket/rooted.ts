/**
 * A bucket whose blocks lie at its root, as Prometheus and Thanos have them, seen as the others are: below a tenant.
 * One that has tenants is seen as it is. Which of the two it is shows in its first level, each time that it is listed.
 */
import { PrefixedBucket, type Bucket, type ObjectInfo, type PutOptions } from './bucket.ts'

export interface RootedOptions {
  /** Whose the blocks at the root are. */
  tenant: string
  /** Is it the name of a block? */
  isBlock: (name: string) => boolean
}

export class RootedBucket extends PrefixedBucket {
  readonly #options: RootedOptions
  readonly #prefix: string
  /** The root had blocks when it was listed last, or once: an empty bucket stays what it was. */
  #isFlat = false

  constructor(inner: Bucket, options: RootedOptions) {
    super(inner, '')
    this.#options = options
    this.#prefix = `${options.tenant}/`
  }

  /** Do its blocks lie at the root? Known after the first level was listed. */
  get isFlat(): boolean {
    return this.#isFlat
  }

  #placeOf(key: string): string {
    return this.#isFlat && key.startsWith(this.#prefix) ? key.slice(this.#prefix.length) : key
  }

  override async listDirectories(prefix: string): Promise<string[]> {
    if (prefix !== '') return super.listDirectories(this.#placeOf(prefix))
    const names = await super.listDirectories('')
    const { isBlock, tenant } = this.#options
    if (names.some(isBlock)) this.#isFlat = true
    else if (names.length > 0) this.#isFlat = false
    return this.#isFlat ? [tenant] : names
  }

  override async list(prefix: string): Promise<ObjectInfo[]> {
    const place = this.#placeOf(prefix)
    const found = await super.list(place)
    return place === prefix ? found : found.map(object => ({ ...object, key: this.#prefix + object.key }))
  }

  override put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<void> {
    return super.put(this.#placeOf(key), bytes, options)
  }
  override putFile(key: string, path: string): Promise<void> {
    return super.putFile(this.#placeOf(key), path)
  }
  override get(key: string): Promise<Uint8Array> {
    return super.get(this.#placeOf(key))
  }
  override getRange(key: string, offset: number, length: number, room?: Uint8Array): Promise<Uint8Array> {
    return super.getRange(this.#placeOf(key), offset, length, room)
  }
  override size(key: string): Promise<number> {
    return super.size(this.#placeOf(key))
  }
  override delete(key: string): Promise<void> {
    return super.delete(this.#placeOf(key))
  }
}
