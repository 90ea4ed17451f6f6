/** Values as sops encrypts them, one by one, and the MAC over all of them. */
import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import { CorruptDataError } from '#core/errors.ts'
import type { Random } from '#core/random.ts'

export const encryptedForm =
  /^ENC\[AES256_GCM,data:([A-Za-z0-9+/=]*),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]$/

export type LeafType = 'str' | 'int' | 'float' | 'bool'

/** What the MAC of encrypted values alone begins with, so that nobody can take one kind of MAC for the other. */
const macOnlyEncryptedSeed = createHash('sha256').update('sops').digest()

/** `additional`: data that is authenticated with it, so that a value can't be moved to another place. */
export function encryptText(
  text: string,
  type: LeafType | 'comment',
  key: Uint8Array,
  additional: string,
  random: Random,
): string {
  const iv = random.bytes(32)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  cipher.setAAD(Buffer.from(additional))
  const data = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  const [dataText, ivText, tagText] = [data, Buffer.from(iv), cipher.getAuthTag()].map(part => part.toString('base64'))
  return `ENC[AES256_GCM,data:${dataText},iv:${ivText},tag:${tagText},type:${type}]`
}

/** Throws CorruptDataError, with `where`. */
export function decryptText(
  sealed: string,
  key: Uint8Array,
  additional: string,
  where: string,
): { type: string; bytes: Buffer } {
  const match = encryptedForm.exec(sealed)
  if (match === null) throw new CorruptDataError(`${where}: not encrypted, though the file says that it is`)
  const [, data = '', iv = '', tag = '', type = ''] = match
  const tagBytes = Buffer.from(tag, 'base64')
  if (tagBytes.length !== 16)
    throw new CorruptDataError(`${where}: the tag has ${tagBytes.length} bytes; 16 were expected`)
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64'))
    decipher.setAAD(Buffer.from(additional))
    decipher.setAuthTag(tagBytes)
    return { type, bytes: Buffer.concat([decipher.update(Buffer.from(data, 'base64')), decipher.final()]) }
  } catch (error) {
    throw new CorruptDataError(
      `${where}: was changed after it was sealed, moved from another place, or sealed with another key`,
      { cause: error },
    )
  }
}

/** Over the values in their order, encrypted or not. */
export class Mac {
  readonly #hash = createHash('sha512')
  readonly #isOnlyEncrypted: boolean
  constructor(isOnlyEncrypted: boolean) {
    this.#isOnlyEncrypted = isOnlyEncrypted
    if (isOnlyEncrypted) this.#hash.update(macOnlyEncryptedSeed)
  }
  add(bytes: string | Uint8Array, isEncrypted: boolean): void {
    if (isEncrypted || !this.#isOnlyEncrypted) this.#hash.update(bytes)
  }
  text(): string {
    return this.#hash.digest('hex').toUpperCase()
  }
}
