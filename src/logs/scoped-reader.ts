/**
 * The reader of a scope. Constraints are added to the matchers of every selector, whatever query, list or tail they
 * come from; of several tenants, each stream says whose it is.
 */
import { JoinedOmissions, type Omissions } from '#core/omissions.ts'
import type { Scope } from '#core/scope.ts'
import { chooseTenants, matchersOf, originalTenantLabel, tenantLabel } from '#lang/regex/constraint.ts'
import type { Matcher } from '#lang/regex/matcher.ts'
import type { Labels } from '#model/labels.ts'
import { labelsOfTenant } from '#model/tenant-labels.ts'
import type { LogsReader, TailListener } from './select.ts'

interface Readers {
  reader(tenant: string): LogsReader
}

/** Reads what is in the scope, and nothing else. */
export function scopedLogs(store: Readers, { tenants, labels }: Scope): LogsReader {
  const constraint = matchersOf(labels)
  const parts = tenants.map(tenant => {
    const reader = store.reader(tenant)
    return { tenant, reader: constraint.length === 0 ? reader : new ConstrainedReader(reader, constraint) }
  })
  return parts.length === 1 ? parts[0]!.reader : new JoinedReader(parts)
}

class ConstrainedReader implements LogsReader {
  readonly #inner: LogsReader
  readonly #constraint: readonly Matcher[]

  constructor(inner: LogsReader, constraint: readonly Matcher[]) {
    this.#inner = inner
    this.#constraint = constraint
  }

  get omissions(): Omissions {
    return this.#inner.omissions
  }
  /** Of one tenant alone: whoever is bound to labels learns nothing of others. */
  readonly damaged: LogsReader['damaged'] = () => this.#inner.damaged('tenant')
  readonly select: LogsReader['select'] = (matchers, fromMs, throughMs) =>
    this.#inner.select(this.#within(matchers), fromMs, throughMs)
  readonly streams: LogsReader['streams'] = (matchers, fromMs, throughMs) =>
    this.#inner.streams(this.#within(matchers), fromMs, throughMs)
  readonly subscribe: LogsReader['subscribe'] = (matchers, listener) =>
    this.#inner.subscribe(this.#within(matchers), listener)
  readonly watch: LogsReader['watch'] = onNew => this.#inner.watch(onNew)
  readonly deletions: LogsReader['deletions'] = () => this.#inner.deletions()

  #within(matchers: readonly Matcher[]): readonly Matcher[] {
    return [...matchers, ...this.#constraint]
  }
}

interface Part {
  readonly tenant: string
  readonly reader: LogsReader
}

class JoinedReader implements LogsReader {
  readonly #parts: readonly Part[]
  readonly omissions: Omissions

  constructor(parts: readonly Part[]) {
    this.#parts = parts
    this.omissions = new JoinedOmissions(parts.map(({ reader }) => reader.omissions))
  }

  readonly damaged: LogsReader['damaged'] = () => this.#parts.flatMap(({ reader }) => reader.damaged('tenant'))

  readonly select: LogsReader['select'] = async (matchers, fromMs, throughMs) => {
    const { chosen, rest } = chooseTenants(this.#parts, matchers)
    const found = await Promise.all(
      chosen.map(async ({ tenant, reader }) => {
        const deletions = reader.deletions()
        const streams = await reader.select(rest, fromMs, throughMs)
        return streams.map(({ labels, chunks }) => ({ labels: ofTenant(labels, tenant), chunks, deletions }))
      }),
    )
    return found.flat()
  }

  readonly streams: LogsReader['streams'] = async (matchers, fromMs, throughMs) => {
    const { chosen, rest } = chooseTenants(this.#parts, matchers)
    const found = await Promise.all(
      chosen.map(async ({ tenant, reader }) =>
        (await reader.streams(rest, fromMs, throughMs)).map(labels => ofTenant(labels, tenant)),
      ),
    )
    return found.flat()
  }

  readonly subscribe: LogsReader['subscribe'] = (matchers, listener) => {
    const { chosen, rest } = chooseTenants(this.#parts, matchers)
    const ends = chosen.map(({ tenant, reader }) => reader.subscribe(rest, listenerOf(tenant, listener)))
    return () => {
      for (const end of ends) end()
    }
  }

  readonly watch: LogsReader['watch'] = onNew => {
    const ends = this.#parts.map(({ reader }) => reader.watch(onNew))
    return () => {
      for (const end of ends) end()
    }
  }

  /** Each stream has those of its tenant. */
  readonly deletions: LogsReader['deletions'] = () => []
}

function listenerOf(tenant: string, listener: TailListener): TailListener {
  return {
    onLine: line => {
      listener.onLine({ ...line, labels: ofTenant(line.labels, tenant) })
    },
    onDropped: (labels, ms) => {
      listener.onDropped(ofTenant(labels, tenant), ms)
    },
    onError: error => {
      listener.onError(error)
    },
  }
}

function ofTenant(labels: Labels, tenant: string): Labels {
  return labelsOfTenant(labels, tenant, tenantLabel, originalTenantLabel)
}
