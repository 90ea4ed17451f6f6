/**
 * Hashes of passwords in the PHC string format: `$scrypt$ln=15,r=8,p=1$salt$hash` and
 * `$argon2id$v=19$m=65536,t=3,p=4$salt$hash`. Sources: RFC 7914, RFC 9106, and the description of PHC strings.
 */
import * as crypto from 'node:crypto'
import { BadDataError } from '#core/errors.ts'

interface Scrypt {
  readonly kind: 'scrypt'
  /** Logarithm of the cost. */
  readonly ln: number
  readonly r: number
  readonly p: number
}

interface Argon2id {
  readonly kind: 'argon2id'
  readonly memoryKib: number
  readonly passes: number
  readonly parallelism: number
}

/** A hash as a credentials file has it. */
export interface PasswordHash {
  readonly cost: Scrypt | Argon2id
  readonly salt: Uint8Array
  readonly hash: Uint8Array
}

/** Verifying one password takes no more memory than this. */
const memoryBytesMax = 256 * 1024 * 1024
const defaultCost: Scrypt = { kind: 'scrypt', ln: 15, r: 8, p: 1 }
const hashBytes = 32
const saltBytes = 16

/** `crypto.argon2` of Node 24.7 and later; `undefined` before that. */
type Argon2 = (
  algorithm: 'argon2id',
  options: {
    message: Uint8Array
    nonce: Uint8Array
    parallelism: number
    tagLength: number
    memory: number
    passes: number
  },
  done: (error: Error | null, tag: Uint8Array) => void,
) => void
const argon2 = (crypto as unknown as { argon2?: Argon2 }).argon2

/** Throws BadDataError, which says what was expected, and never shows the text. */
export function parsePasswordHash(text: string): PasswordHash {
  const [, kind = '', ...rest] = text.split('$')
  if (text.startsWith('$') && kind === 'scrypt' && rest.length === 3) return parseScrypt(rest)
  if (text.startsWith('$') && kind === 'argon2id' && rest.length === 4) return parseArgon2id(rest)
  throw new BadDataError('no hash of a password: $scrypt$… or $argon2id$… was expected; tercet auth hash makes one')
}

function parseScrypt([parameters = '', salt = '', hash = '']: string[]): PasswordHash {
  const { ln, r, p } = numbersOf(parameters)
  if (ln === undefined || r === undefined || p === undefined || ln < 1 || r < 1 || p < 1 || ln > 24)
    throw new BadDataError('the hash names no cost of scrypt: ln=15,r=8,p=1 was expected')
  checkMemory(128 * r * 2 ** ln)
  return { cost: { kind: 'scrypt', ln, r, p }, ...bytesOf(salt, hash) }
}

function parseArgon2id([version = '', parameters = '', salt = '', hash = '']: string[]): PasswordHash {
  if (version !== 'v=19') throw new BadDataError('the hash is of another version of argon2id: v=19 was expected')
  const { m, t, p } = numbersOf(parameters)
  if (m === undefined || t === undefined || p === undefined || t < 1 || p < 1 || m < 8 * p)
    throw new BadDataError('the hash names no cost of argon2id: m=65536,t=3,p=4 was expected')
  checkMemory(m * 1024)
  if (argon2 === undefined)
    throw new BadDataError(`this Node.js (${process.version}) has no argon2: take 24.7 or later, or a hash of scrypt`)
  return { cost: { kind: 'argon2id', memoryKib: m, passes: t, parallelism: p }, ...bytesOf(salt, hash) }
}

function numbersOf(parameters: string): Partial<Record<string, number>> {
  const pairs = [...parameters.matchAll(/([a-z]+)=(\d{1,9})(?:,|$)/g)]
  return Object.fromEntries(pairs.map(([, name = '', digits]) => [name, Number(digits)]))
}

function checkMemory(bytes: number): void {
  if (bytes > memoryBytesMax)
    throw new BadDataError(`the hash takes ${bytes} bytes of memory to verify, the limit is ${memoryBytesMax}`)
}

function bytesOf(salt: string, hash: string): { salt: Uint8Array; hash: Uint8Array } {
  const bytes = { salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') }
  if (bytes.salt.length < 8 || bytes.hash.length < 16)
    throw new BadDataError('the hash is cut short: at least 8 bytes of salt and 16 of hash were expected, in base64')
  return bytes
}

/** Whether the password is the one that was hashed. It takes some 50 ms of another thread. */
export async function isPasswordOf(password: string, { cost, salt, hash }: PasswordHash): Promise<boolean> {
  return crypto.timingSafeEqual(await derive(password, cost, salt, hash.length), hash)
}

function derive(password: string, cost: PasswordHash['cost'], salt: Uint8Array, length: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, key: Uint8Array): void => {
      if (error === null) resolve(key)
      else reject(error)
    }
    if (cost.kind === 'scrypt') {
      const { ln, r, p } = cost
      crypto.scrypt(password, salt, length, { N: 2 ** ln, r, p, maxmem: memoryBytesMax + 1024 * 1024 }, done)
      return
    }
    const { memoryKib: memory, passes, parallelism } = cost
    // A hash of this kind was read, so there is argon2.
    argon2!(
      'argon2id',
      { message: Buffer.from(password), nonce: salt, parallelism, tagLength: length, memory, passes },
      done,
    )
  })
}

/** What costs next to nothing: for a password that nobody reads but who may read the password itself. */
export const leastCost: PasswordHash['cost'] = { kind: 'scrypt', ln: 1, r: 1, p: 1 }

/** The hash of a password in memory; verifying it takes as long as others of this cost. */
export async function hashLike(password: string, salt: Uint8Array, cost: PasswordHash['cost']): Promise<PasswordHash> {
  return { cost, salt, hash: await derive(password, cost, salt, hashBytes) }
}

/** The hash of a password, as a credentials file wants it; `salt` has 16 random bytes. */
export async function hashPassword(password: string, salt: Uint8Array): Promise<string> {
  const { ln, r, p } = defaultCost
  const { hash } = await hashLike(password, salt, defaultCost)
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64').replace(/=+$/, '')
  return `$scrypt$ln=${ln},r=${r},p=${p}$${base64(salt)}$${base64(hash)}`
}

/** A hash that no password has: whoever names a user that is not there waits as long as for one that is. */
export function nobodysHash(like: PasswordHash | undefined): PasswordHash {
  const cost = like?.cost ?? defaultCost
  return { cost, salt: new Uint8Array(saltBytes), hash: new Uint8Array(hashBytes) }
}
