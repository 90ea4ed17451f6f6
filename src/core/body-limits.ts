/**
 * What one body may hold. Everything is counted before it is decoded: a few bytes of a body can spell an object that
 * takes hundreds. The arithmetic of the bounds stands in limits.ts.
 */
import { LimitError } from './errors.ts'
import { bodyElements, expandedBytes } from './limits.ts'

/** What is counted: see `bodyElements`. */
export type ElementKind = keyof typeof bodyElements

const nouns: Readonly<Record<ElementKind, string>> = {
  items: 'records',
  parts: 'elements',
  rows: 'rows',
}

/** How many of a kind a body of so many bytes may hold. */
export function elementsMax(kind: ElementKind, bytes: number): number {
  const { always, bytesEach, most } = bodyElements[kind]
  return Math.min(most, always + Math.floor(bytes / bytesEach))
}

/** The refusal of a body of `bytes` bytes that holds more of a kind than it may; `at`: the byte where it is found. */
export function tooMany(kind: ElementKind, bytes: number, at?: number): LimitError {
  const place = at === undefined ? '' : ` by byte ${at}`
  return new LimitError(
    `the body of ${bytes} bytes has more than ${elementsMax(kind, bytes)} ${nouns[kind]}${place}, which is the limit ` +
      'for its size; send smaller requests',
    400,
  )
}

/** Counts the bytes that a body of references takes when each is written out. */
export class ExpandedBytes {
  readonly #most: number
  readonly #bytes: number
  #count = 0

  /** `bytes`: of the body. */
  constructor(bytes: number) {
    this.#bytes = bytes
    this.#most = Math.min(expandedBytes.most, expandedBytes.always + bytes * expandedBytes.times)
  }

  /** Before `count` bytes are written. Throws LimitError (400). */
  add(count: number): void {
    this.#count += count
    if (this.#count > this.#most)
      throw new LimitError(
        `the labels of the body of ${this.#bytes} bytes take more than ${this.#most} bytes when written out, which ` +
          'is the limit for its size; send smaller requests',
        400,
      )
  }
}

/** Counts the records of a body while it is decoded. */
export class RecordCount {
  readonly #bytes: number
  readonly #most: number
  #count = 0

  /** `bytes`: of the body. */
  constructor(bytes: number) {
    this.#bytes = bytes
    this.#most = elementsMax('items', bytes)
  }

  /** Throws LimitError (400) for a record too many. */
  add(): void {
    if (++this.#count > this.#most) throw tooMany('items', this.#bytes)
  }
}

/** Throws LimitError (400) where a body of `bytes` bytes holds `count` of a kind, and may not. */
export function checkElements(kind: ElementKind, count: number, bytes: number): void {
  if (count > elementsMax(kind, bytes)) throw tooMany(kind, bytes)
}
