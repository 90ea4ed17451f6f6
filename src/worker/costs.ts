/** What requests cost so far: one that was cheap several times is answered without a worker. */

/** A request may be answered on the main thread when it took no longer than this. */
const cheapMs = 7
/** From here on it is dear, whatever else the machine was busy with. */
const dearMs = 20
/** After so many cheap answers; one that took a little longer takes away as many. */
const cheapTimes = 2
/** More do not count: two that took a little longer in a row end it. */
const countedTimes = 4
/** Requests that are remembered; about 200 B each. */
const keptMax = 4096
/** Longer texts are not remembered: they are asked by workers. */
const keyLengthMax = 2000

/** A request, as far as its cost goes by it. */
interface Asked {
  method: string
  path: string
  query: string
  form: string | undefined
  body: Uint8Array | undefined
}

/** Parameters that move with the clock: of those a length remains. */
const timeNames = new Set(['start', 'end', 'time', 'from', 'to', '_', 'nocache'])

export class Costs {
  /** How often the request was cheap lately. */
  readonly #cheap = new Map<string, number>()

  /** The same for requests that differ by when they are asked alone; '' for those that are not remembered. */
  keyOf({ method, path, query, form, body }: Asked): string {
    if (body !== undefined) return ''
    const length = query.length + (form?.length ?? 0)
    if (length > keyLengthMax) return ''
    const parameters = new URLSearchParams(form ?? query)
    let key = `${method} ${path}`
    for (const [name, value] of parameters) if (!timeNames.has(name)) key += `\n${name}=${value}`
    return `${key}\n${rangeOf(parameters)}`
  }

  isCheap(key: string): boolean {
    return (this.#cheap.get(key) ?? 0) >= cheapTimes
  }

  /** The request took so long; an answer that was not whole at once may be of any size. */
  note(key: string, workMs: number, isWhole: boolean): void {
    if (key === '') return
    const before = this.#cheap.get(key) ?? 0
    this.#cheap.delete(key)
    if (!isWhole || workMs > dearMs) return
    const times = workMs <= cheapMs ? Math.min(before + 1, countedTimes) : before - cheapTimes
    if (times <= 0) return
    this.#cheap.set(key, times)
    if (this.#cheap.size > keptMax) this.#cheap.delete(this.#cheap.keys().next().value!)
  }
}

/** The time between start and end, rounded: a longer one costs more. Texts that are no numbers count as they are. */
function rangeOf(parameters: URLSearchParams): string {
  const start = parameters.get('start') ?? parameters.get('from')
  const end = parameters.get('end') ?? parameters.get('to')
  if (start === null || end === null) return `${start ?? ''} ${end ?? ''}`
  const length = Number(end) - Number(start)
  return Number.isFinite(length) ? length.toPrecision(2) : `${Date.parse(end) - Date.parse(start)}`
}
