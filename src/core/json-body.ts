/**
 * JSON that came from outside, from its bytes: counted first, in one pass that allocates nothing, then parsed. A long
 * body is parsed in pieces, between which other work may run; the result is the same.
 */
import { tooMany, elementsMax } from './body-limits.ts'
import { BadDataError, LimitError, messageOf } from './errors.ts'
import { parseJson, parseJsonWithin } from './json.ts'
import { bodyDepthMax } from './limits.ts'
import { addAll } from './lists.ts'
import { setOwn } from './own.ts'

/** So many bytes are counted, or parsed, between two calls of `pause`: less than 10 ms of work. */
export const pieceBytes = 1 << 20

const quote = 34
const comma = 44
const colon = 58
const openList = 91
const backslash = 92
const closeList = 93
const openObject = 123
const closeObject = 125

/** The byte behind the text whose opening quote stands before `at`; the end of all where it has no end. */
function endOfText(bytes: Buffer, at: number): number {
  // Most texts are short: a search of the whole has its price.
  const near = Math.min(at + 48, bytes.length)
  for (; at < near; at++) {
    const byte = bytes[at]!
    if (byte === quote) return at + 1
    if (byte === backslash) at++
  }
  for (;;) {
    const end = bytes.indexOf(quote, at)
    if (end < 0) return bytes.length
    let back = end
    while (back > at && bytes[back - 1] === backslash) back--
    if ((end - back) % 2 === 0) return end + 1
    at = end + 1
  }
}

/** Counts lists, objects and commas, and knows how deep they are nested. */
class Count {
  readonly #bytes: Buffer
  readonly #piece: number
  readonly #partsMax: number
  readonly #depthMax: number
  /** Where the lists and objects around begin. */
  readonly #starts = new Uint32Array(bodyDepthMax + 1)
  #at = 0
  #depth = 0
  #containers = 0
  #commas = 0
  /** Lists and objects of more than a piece: where each begins and ends. */
  readonly large = new Map<number, number>()

  /** How many elements there are, a comma being one. */
  get elements(): number {
    return this.#containers + this.#commas
  }

  constructor(bytes: Buffer, piece: number, depthMax = bodyDepthMax) {
    this.#depthMax = depthMax
    this.#bytes = bytes
    this.#piece = piece
    this.#partsMax = elementsMax('parts', bytes.length)
  }

  /** Goes on for about `count` bytes; false at the end. Throws BadDataError and LimitError. */
  advance(count: number): boolean {
    const bytes = this.#bytes
    const starts = this.#starts
    const to = Math.min(this.#at + count, bytes.length)
    let depth = this.#depth
    let containers = this.#containers
    let commas = this.#commas
    let at = this.#at
    while (at < to) {
      const byte = bytes[at++]!
      if (byte === quote) at = endOfText(bytes, at)
      else if (byte === comma) commas++
      else if (byte >= openList) {
        if (byte === openList || byte === openObject) {
          containers++
          if (depth === this.#depthMax) throw tooDeep(this.#depthMax, at - 1)
          starts[depth++] = at - 1
          if (containers + commas / 4 > this.#partsMax) throw tooMany('parts', bytes.length, at - 1)
        } else if ((byte === closeList || byte === closeObject) && depth > 0) {
          const from = starts[--depth]!
          if (at - from > this.#piece) this.large.set(from, at)
        }
      }
    }
    if (containers + commas / 4 > this.#partsMax) throw tooMany('parts', bytes.length, at)
    this.#at = at
    this.#depth = depth
    this.#containers = containers
    this.#commas = commas
    return at < bytes.length
  }
}

function tooDeep(depthMax: number, at: number): BadDataError {
  return new BadDataError(`the JSON is nested more than ${depthMax} deep at byte ${at}, which is the limit`)
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

/**
 * How many elements JSON has. Throws BadDataError where it is nested too deep, LimitError (400) for too many elements;
 * parses nothing.
 */
export function checkJson(bytes: Uint8Array, depthMax = bodyDepthMax): number {
  const count = new Count(asBuffer(bytes), Infinity, depthMax)
  count.advance(Infinity)
  return count.elements
}

/**
 * The value that bytes spell in JSON, as `parseJson` gives it. Throws SyntaxError for what is no JSON, and as
 * `checkJson`.
 */
export function parseJsonBytes(bytes: Uint8Array): unknown {
  if (bytes.length <= pieceBytes) {
    // What a short body holds is counted in its text, in one pass with what its numbers are looked at for.
    const bounds = { depthMax: bodyDepthMax, partsMax: elementsMax('parts', bytes.length) }
    const value = parseJsonWithin(asBuffer(bytes).toString('utf8'), bounds)
    if (value !== undefined) return value
  }
  checkJson(bytes)
  return parseJson(asBuffer(bytes).toString('utf8'))
}

/** Lets other work run; is called after every piece. */
export type Pause = () => Promise<void>

/** The same in pieces of about `piece` bytes, for bodies of any length on a thread that has other work. */
export async function parseJsonInPieces(bytes: Uint8Array, pause: Pause, piece = pieceBytes): Promise<unknown> {
  if (bytes.length <= piece) return parseJsonBytes(bytes)
  const buffer = asBuffer(bytes)
  const count = new Count(buffer, piece)
  while (count.advance(piece)) await pause()
  return new Pieces(buffer, count.large, pause, piece).read()
}

/** A JSON body in pieces, with the errors of a request: BadDataError for what is no JSON, and as `checkJson`. */
export async function readJsonBody(bytes: Uint8Array, pause: Pause): Promise<unknown> {
  try {
    return await parseJsonInPieces(bytes, pause)
  } catch (error) {
    throw asBadData(error)
  }
}

/** The same at once. */
export function jsonBodyOf(bytes: Uint8Array): unknown {
  try {
    return parseJsonBytes(bytes)
  } catch (error) {
    throw asBadData(error)
  }
}

function asBadData(error: unknown): unknown {
  if (error instanceof BadDataError || error instanceof LimitError) return error
  return new BadDataError(`the body is not JSON: ${messageOf(error)}`, { cause: error })
}

/** Parses what lies between lists and objects that are longer than a piece, and puts them together. */
class Pieces {
  readonly #bytes: Buffer
  readonly #large: ReadonlyMap<number, number>
  readonly #pause: Pause
  readonly #piece: number

  constructor(bytes: Buffer, large: ReadonlyMap<number, number>, pause: Pause, piece: number) {
    this.#piece = piece
    this.#bytes = bytes
    this.#large = large
    this.#pause = pause
  }

  async read(): Promise<unknown> {
    const from = this.#space(0)
    const end = this.#large.get(from)
    if (end === undefined) return parseJson(this.#bytes.toString('utf8'))
    const value = await this.#value(from)
    const rest = this.#space(end)
    if (rest < this.#bytes.length) throw this.#unexpected(rest)
    return value
  }

  /** The list or object of more than a piece that begins at `from`. */
  async #value(from: number): Promise<unknown> {
    const close = this.#large.get(from)! - 1
    const isList = this.#bytes[from] === openList
    if (this.#bytes[close] !== (isList ? closeList : closeObject)) throw this.#unexpected(close)
    return isList ? this.#list(from + 1, close) : this.#object(from + 1, close)
  }

  async #list(at: number, close: number): Promise<unknown[]> {
    const list: unknown[] = []
    if (this.#space(at) === close) return list
    for (;;) {
      at = this.#space(at)
      const end = this.#large.get(at)
      if (end === undefined) {
        const run = this.#run(at, close)
        addAll(list, this.#parse('[', run.from, run.to, ']') as unknown[])
        at = run.to
      } else {
        list.push(await this.#value(at))
        at = this.#space(end)
      }
      await this.#pause()
      if (at === close) return list
      if (this.#bytes[at] !== comma) throw this.#unexpected(at)
      at++
    }
  }

  async #object(at: number, close: number): Promise<Record<string, unknown>> {
    const object: Record<string, unknown> = {}
    if (this.#space(at) === close) return object
    for (;;) {
      const run = this.#run(at, close)
      if (run.large < 0 || run.member > run.from) {
        const to = run.large < 0 ? run.to : run.member - 1
        const members = this.#parse('{', run.from, to, '}') as Record<string, unknown>
        for (const name of Object.keys(members)) setOwn(object, name, members[name])
      }
      at = run.to
      if (run.large >= 0) {
        const [name = ''] = Object.keys(this.#parse('{', run.member, run.large, 'null}') as object)
        setOwn(object, name, await this.#value(run.large))
        at = this.#space(this.#large.get(run.large)!)
      }
      await this.#pause()
      if (at === close) return object
      if (this.#bytes[at] !== comma) throw this.#unexpected(at)
      at++
    }
  }

  /**
   * What can be parsed at once from `from` on: up to the end at `close`, to a comma after a piece, or to what is longer
   * than a piece (`large`, else -1), which belongs to the member that begins at `member`.
   */
  #run(from: number, close: number): { from: number; to: number; large: number; member: number } {
    const bytes = this.#bytes
    let depth = 0
    let member = from
    let at = from
    while (at < close) {
      const byte = bytes[at]!
      if (byte === quote) {
        at = endOfText(bytes, at + 1)
        continue
      }
      if (byte === openList || byte === openObject) {
        if (depth === 0 && this.#large.has(at)) {
          // In a list the elements before it are parsed first.
          const before = bytes[this.#spaceBack(at) - 1]
          if (before !== colon) return { from, to: member - 1, large: -1, member }
          return { from, to: at, large: at, member }
        }
        depth++
      } else if (byte === closeList || byte === closeObject) depth--
      else if (byte === comma && depth === 0) {
        if (at - from >= this.#piece) return { from, to: at, large: -1, member }
        member = at + 1
      }
      at++
    }
    return { from, to: close, large: -1, member }
  }

  #parse(open: string, from: number, to: number, close: string): unknown {
    // Nothing stands before or behind a comma, or the list is as long as that of spaces alone.
    if (this.#space(from) >= to) throw this.#unexpected(to)
    try {
      return parseJson(open + this.#bytes.toString('utf8', from, to) + close)
    } catch (error) {
      throw new SyntaxError(`${messageOf(error)}, in bytes ${from} to ${to}`, { cause: error })
    }
  }

  /** The first byte from `at` on that is no white space. */
  #space(at: number): number {
    while (isSpace(this.#bytes[at])) at++
    return at
  }

  /** The byte behind the last one before `at` that is no white space. */
  #spaceBack(at: number): number {
    while (isSpace(this.#bytes[at - 1])) at--
    return at
  }

  #unexpected(at: number): SyntaxError {
    const byte = this.#bytes[at]
    const what = byte === undefined ? 'end' : JSON.stringify(String.fromCharCode(byte))
    return new SyntaxError(`unexpected ${what} at byte ${at}`)
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9
}
