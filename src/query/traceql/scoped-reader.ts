/**
 * The reader of a scope. A label constraint is about the attribute of the resource that the label's name stands for;
 * spans of other resources are not there, in searches, metrics, lists of tags and traces by id.
 */
import { JoinedOmissions, type Omissions } from '#core/omissions.ts'
import type { Scope } from '#core/scope.ts'
import { matchersOf } from '#lang/regex/constraint.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { AnyValue, Attribute, Resource, Trace } from '#model/trace.ts'
import type { TracesReader } from '#traces/select.ts'
import { constrainedRows, fitsAll, labelOfAttribute } from './constrained-rows.ts'

interface Readers {
  reader(tenant: string): TracesReader
}

/** Reads what is in the scope, and nothing else. */
export function scopedTraces(store: Readers, { tenants, labels }: Scope): TracesReader {
  const constraint = matchersOf(labels)
  const readers = tenants.map(tenant => {
    const reader = store.reader(tenant)
    return constraint.length === 0 ? reader : new ConstrainedReader(reader, constraint)
  })
  return readers.length === 1 ? readers[0]! : new JoinedReader(readers)
}

class ConstrainedReader implements TracesReader {
  readonly #inner: TracesReader
  readonly #constraint: readonly Matcher[]

  constructor(inner: TracesReader, constraint: readonly Matcher[]) {
    this.#inner = inner
    this.#constraint = constraint
  }

  get omissions(): Omissions {
    return this.#inner.omissions
  }
  /** Of one tenant alone: whoever is bound to labels learns nothing of others. */
  readonly damaged: TracesReader['damaged'] = () => this.#inner.damaged('tenant')

  readonly select: TracesReader['select'] = async (...asked) =>
    (await this.#inner.select(...asked)).map(rows => constrainedRows(rows, this.#constraint))

  readonly find: TracesReader['find'] = async (...asked) => {
    const trace = await this.#inner.find(...asked)
    const resources = trace?.resources.filter(({ resource }) => this.#isShown(resource)) ?? []
    return resources.length === 0 ? undefined : { ...trace, resources }
  }

  #isShown({ attributes }: Resource): boolean {
    return fitsAll(this.#constraint, label => {
      const asLabel = labelOfAttribute(label)
      const own = attributes.filter(({ key }) => labelOfAttribute(key) === asLabel).sort(labelFirst(label))
      return own.map(({ value }) => textOf(value)).find(text => text !== '') ?? ''
    })
  }
}

/** The attribute that is the label itself, then by name. */
function labelFirst(label: string): (a: Attribute, b: Attribute) => number {
  return (a, b) => Number(a.key !== label) - Number(b.key !== label) || (a.key < b.key ? -1 : 1)
}

function textOf(value: AnyValue): string {
  switch (value.kind) {
    case 'string':
      return value.value
    case 'bool':
    case 'int':
    case 'double':
      return String(value.value)
    default:
      return ''
  }
}

/** Traces of several tenants; one that several have is one trace by its id, and several in a search. */
class JoinedReader implements TracesReader {
  readonly #readers: readonly TracesReader[]
  readonly omissions: Omissions

  constructor(readers: readonly TracesReader[]) {
    this.#readers = readers
    this.omissions = new JoinedOmissions(readers.map(reader => reader.omissions))
  }

  readonly damaged: TracesReader['damaged'] = () => this.#readers.flatMap(reader => reader.damaged('tenant'))

  readonly select: TracesReader['select'] = async (...asked) =>
    (await Promise.all(this.#readers.map(reader => reader.select(...asked)))).flat()

  readonly find: TracesReader['find'] = async (id, fromMs, throughMs) => {
    const found = await Promise.all(this.#readers.map(reader => reader.find(id, fromMs, throughMs)))
    const resources = found.flatMap((trace: Trace | undefined) => trace?.resources ?? [])
    return resources.length === 0 ? undefined : { resources }
  }
}
