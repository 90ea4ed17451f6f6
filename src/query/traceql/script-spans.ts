/** Spans of scripts of TraceQL; script.ts describes the notation. */
import { BadDataError } from '#core/errors.ts'
import type { AnyValue, Attribute, ResourceSpans, Span, Trace } from '#model/trace.ts'
import { LineScanner, scriptStartMs, timeOf } from '../script-commands.ts'

const kinds = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']
const statuses = ['unset', 'ok', 'error']

/** Every span with a resource and a scope of its own. Throws BadDataError. */
export function readTraces(body: readonly string[]): Trace {
  const resources: ResourceSpans[] = []
  let traceId = idOf(0, 16)
  let open: Span | undefined
  for (const line of body) {
    const scanner = new LineScanner(line)
    const kind = scanner.expect(/^(?:trace|span|event|link)\b/, 'trace, span, event or link')
    if (kind === 'trace') traceId = readId(scanner, 16)
    else if (kind === 'span') {
      const resource = readSpan(scanner, traceId)
      resources.push(resource)
      open = resource.scopes[0]?.spans[0]
    } else if (open === undefined) throw new BadDataError(`no span stands above ${JSON.stringify(line)}`)
    else if (kind === 'event') open.events.push(readEvent(scanner, open.startNs))
    else {
      const ids = { traceId: readId(scanner, 16), spanId: readId(scanner, 8) }
      open.links.push({ ...ids, traceState: '', attributes: readAttributes(scanner), dropped: 0, flags: 0 })
    }
  }
  return { resources }
}

function idOf(number: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  new DataView(bytes.buffer).setUint32(size - 4, number)
  return bytes
}

function readId(scanner: LineScanner, size: number): Uint8Array {
  return idOf(Number(scanner.expect(/^\d+/, 'a number')), size)
}

function readNs(scanner: LineScanner): bigint {
  return BigInt(timeOf(scanner.expect(/^\S+/, 'a time'))) * 1_000_000n
}

function readEvent(scanner: LineScanner, startNs: bigint): Span['events'][number] {
  const timeNs = startNs + readNs(scanner)
  const name = scanner.quoted()
  return { timeNs, name, attributes: readAttributes(scanner), dropped: 0 }
}

function readSpan(scanner: LineScanner, traceId: Uint8Array): ResourceSpans {
  const spanId = readId(scanner, 8)
  const parentSpanId = scanner.take(/^</) === undefined ? new Uint8Array(0) : readId(scanner, 8)
  const name = scanner.quoted()
  const startNs = BigInt(scriptStartMs) * 1_000_000n + readNs(scanner)
  const endNs = startNs + readNs(scanner)
  const settings = new Settings(readAttributes(scanner))
  const resource = settings.attributes('resource')
  const service = settings.text('service')
  if (service !== '') resource.push({ key: 'service.name', value: { kind: 'string', value: service } })
  const scope = {
    name: settings.text('library'),
    version: settings.text('version'),
    attributes: settings.attributes('instrumentation'),
    dropped: 0,
  }
  const span: Span = {
    traceId,
    spanId,
    parentSpanId,
    traceState: '',
    flags: 0,
    name,
    kind: settings.oneOf('kind', kinds),
    startNs,
    endNs,
    attributes: settings.attributes('span'),
    droppedAttributes: 0,
    events: [],
    droppedEvents: 0,
    links: [],
    droppedLinks: 0,
    statusCode: settings.oneOf('status', statuses),
    statusMessage: settings.text('message'),
  }
  settings.end()
  return {
    resource: { attributes: resource, dropped: 0 },
    schemaUrl: '',
    scopes: [{ scope, schemaUrl: '', spans: [span] }],
  }
}

/** What stands behind a span's length; everything has to be used. */
class Settings {
  #left: Attribute[]

  constructor(all: Attribute[]) {
    this.#left = all
  }

  /** '' when the setting is not there. */
  text(name: string): string {
    const found = this.#left.find(a => a.key === name)
    this.#left = this.#left.filter(a => a !== found)
    return found?.value.kind === 'string' ? found.value.value : ''
  }

  /** The number of a word among others, 0 when the setting is not there. */
  oneOf(name: string, words: readonly string[]): number {
    const word = this.text(name)
    const number = words.indexOf(word)
    if (word !== '' && number < 0) throw new BadDataError(`${name} is one of ${words.join(', ')}`)
    return Math.max(0, number)
  }

  /** Attributes of a scope, without its name. */
  attributes(scope: string): Attribute[] {
    const prefix = `${scope}.`
    const own = this.#left.filter(a => a.key.startsWith(prefix))
    this.#left = this.#left.filter(a => !own.includes(a))
    return own.map(({ key, value }) => ({ key: key.slice(prefix.length), value }))
  }

  end(): void {
    const [first] = this.#left
    if (first !== undefined) throw new BadDataError(`the setting ${first.key} is not known`)
  }
}

function readAttributes(scanner: LineScanner): Attribute[] {
  const attributes: Attribute[] = []
  while (!scanner.isAtEnd) {
    const key = scanner.expect(/^[^\s=]+=/, 'name=').slice(0, -1)
    attributes.push({ key, value: readValue(scanner) })
  }
  return attributes
}

function readValue(scanner: LineScanner): AnyValue {
  if (/^["`]/.test(scanner.rest)) return { kind: 'string', value: scanner.quoted() }
  const list = scanner.take(/^\[[^\]]*\]/)
  if (list !== undefined) return { kind: 'array', values: (JSON.parse(list) as (string | number)[]).map(valueOf) }
  const word = scanner.expect(/^\S+/, 'a value')
  if (word === 'true' || word === 'false') return { kind: 'bool', value: word === 'true' }
  if (/^-?\d+$/.test(word)) return { kind: 'int', value: BigInt(word) }
  return /^-?\d+\.\d+$/.test(word) ? { kind: 'double', value: Number(word) } : { kind: 'string', value: word }
}

function valueOf(value: string | number): AnyValue {
  if (typeof value === 'string') return { kind: 'string', value }
  return Number.isInteger(value) ? { kind: 'int', value: BigInt(value) } : { kind: 'double', value }
}
