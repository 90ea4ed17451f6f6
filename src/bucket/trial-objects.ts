/** Objects that an examination of a store writes, and takes away again. */
import { DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { codeOf } from './failure-code.ts'

/** An object that is still there, and why. */
export interface LeftObject {
  key: string
  error: unknown
}

interface Written {
  /** Of the object, and of markers that say it is deleted. */
  versions: string[]
  /** A request may have written something of which no version is known. */
  isUncertain: boolean
}

/** Knows every key that it wrote, so that no right to list is needed. Removes versions too, where the key may. */
export class TrialObjects {
  readonly #client: S3Client
  readonly #bucket: string
  readonly #prefix: string
  readonly #written = new Map<string, Written>()

  /** `prefix` ends in `/`. */
  constructor(client: S3Client, bucket: string, prefix: string) {
    this.#client = client
    this.#bucket = bucket
    this.#prefix = prefix
  }

  keyOf(name: string): string {
    return this.#prefix + name
  }

  async put(name: string, body: Uint8Array, more: object = {}): Promise<{ etag: string; version: string | undefined }> {
    const { ETag = '', VersionId } = await this.writing(name, () =>
      this.#client.send(new PutObjectCommand({ Bucket: this.#bucket, Key: this.keyOf(name), Body: body, ...more })),
    )
    return { etag: ETag, version: VersionId }
  }

  /** Runs a request that writes the object. */
  async writing<Answer extends { VersionId?: string | undefined }>(
    name: string,
    request: () => Promise<Answer>,
  ): Promise<Answer> {
    const before = this.#written.get(name)
    try {
      const answer = await request()
      const versions = before?.versions ?? []
      if (answer.VersionId === undefined) this.#written.set(name, { versions, isUncertain: true })
      else
        this.#written.set(name, {
          versions: [...versions, answer.VersionId],
          isUncertain: before?.isUncertain ?? false,
        })
      return answer
    } catch (error) {
      // What was refused was not written; what got no answer may have been.
      const { status } = codeOf(error)
      if (status === undefined || status >= 500)
        this.#written.set(name, { versions: before?.versions ?? [], isUncertain: true })
      throw error
    }
  }

  async delete(name: string): Promise<void> {
    const { VersionId } = await this.#client.send(
      new DeleteObjectCommand({ Bucket: this.#bucket, Key: this.keyOf(name) }),
    )
    const versions = this.#written.get(name)?.versions ?? []
    this.#written.set(name, {
      versions: VersionId === undefined ? versions : [...versions, VersionId],
      isUncertain: false,
    })
  }

  async deleteVersion(name: string, version: string): Promise<void> {
    await this.#client.send(
      new DeleteObjectCommand({ Bucket: this.#bucket, Key: this.keyOf(name), VersionId: version }),
    )
    const written = this.#written.get(name)
    if (written !== undefined) written.versions = written.versions.filter(known => known !== version)
  }

  /** What could not be removed. */
  async removeAll(): Promise<LeftObject[]> {
    const left: LeftObject[] = []
    for (const [name, written] of this.#written) {
      try {
        const areRemoved = await this.#removeVersions(name, written)
        if (written.isUncertain || !areRemoved) await this.#removeCurrent(name)
      } catch (error) {
        left.push({ key: this.keyOf(name), error })
      }
    }
    return left
  }

  /** False where the key may not remove versions. */
  async #removeVersions(name: string, { versions }: Written): Promise<boolean> {
    // Markers of deletion last: the object does not come back in between.
    for (const version of versions) {
      try {
        await this.deleteVersion(name, version)
      } catch {
        return false
      }
    }
    return true
  }

  async #removeCurrent(name: string): Promise<void> {
    await this.#client.send(new DeleteObjectCommand({ Bucket: this.#bucket, Key: this.keyOf(name) }))
  }
}
