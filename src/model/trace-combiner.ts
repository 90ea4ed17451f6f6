/** Parts of a trace become one. Source of the rules: docs/formats/tempo-block.md. */
import { keyOfTexts } from '#core/text.ts'
import { adoptByHalves } from './shared-halves.ts'
import { SpanIds } from './span-ids.ts'
import {
  attributesKey,
  type Attribute,
  type Resource,
  type ResourceSpans,
  type Scope,
  type ScopeSpans,
  type Span,
  type Trace,
} from './trace.ts'

function sorted(attributes: readonly Attribute[]): Attribute[] {
  return [...attributes].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
}

/** Equal for equal resources. */
export function resourceKey(resource: Resource): string {
  return (resource.key ??= attributesKey(resource.attributes))
}
function scopeKey(scope: Scope): string {
  return (scope.key ??= keyOfTexts([scope.name, scope.version, attributesKey(scope.attributes)]))
}
function resourceInOrder(resource: Resource): Resource {
  return (resource.inOrder ??= { ...resource, attributes: sorted(resource.attributes), inOrder: undefined })
}
function scopeInOrder(scope: Scope): Scope {
  return (scope.inOrder ??= { ...scope, attributes: sorted(scope.attributes), inOrder: undefined })
}

/**
 * Parts of one trace become one: a resource and a scope stand once, whatever the order of their attributes, and a
 * span (by id and kind) stands once. Source of the rules: docs/formats/tempo-block.md.
 */
export class TraceCombiner {
  readonly #resources: { key: string; into: ResourceSpans; scopes: { key: string; into: ScopeSpans }[] }[] = []
  readonly #byKey = new Map<string, number>()
  readonly #ids = new SpanIds()
  /** By id: the kinds that were met, one bit each. */
  #kinds: number[] = []
  readonly #rareKinds = new Set<string>()

  /** Where spans of a scope go. */
  scope(resource: Resource, schemaUrl: string, scope: Scope, scopeUrl: string): ScopeSpans {
    const key = resourceKey(resource)
    let place = this.#byKey.get(key)
    if (place === undefined) {
      place =
        this.#resources.push({
          key,
          into: { resource: resourceInOrder(resource), schemaUrl, scopes: [] },
          scopes: [],
        }) - 1
      this.#byKey.set(key, place)
    }
    const { into, scopes } = this.#resources[place]!
    const own = scopeKey(scope)
    let found = scopes.find(s => s.key === own)
    if (found === undefined) {
      scopes.push((found = { key: own, into: { scope: scopeInOrder(scope), schemaUrl: scopeUrl, spans: [] } }))
      into.scopes.push(found.into)
    }
    return found.into
  }

  add(target: ScopeSpans, span: Span): void {
    const number = this.#ids.add(span.spanId)
    const { kind } = span
    if (number === this.#kinds.length) this.#kinds.push(0)
    if (kind >= 0 && kind < 31) {
      const bit = 1 << kind
      if ((this.#kinds[number]! & bit) !== 0) return
      this.#kinds[number]! |= bit
    } else {
      const rare = `${number} ${kind}`
      if (this.#rareKinds.has(rare)) return
      this.#rareKinds.add(rare)
    }
    target.spans.push(span)
  }

  addTrace(trace: Trace): void {
    for (const { resource, schemaUrl, scopes } of trace.resources) {
      for (const { scope, schemaUrl: scopeUrl, spans } of scopes) {
        const target = this.scope(resource, schemaUrl, scope, scopeUrl)
        for (const span of spans) this.add(target, span)
      }
    }
  }

  /** What it became; it is empty again. */
  finish(): Trace {
    const resources = this.#resources.map(r => r.into)
    for (const r of resources)
      if (r.scopes.some(s => s.spans.length === 0)) r.scopes = r.scopes.filter(s => s.spans.length > 0)
    this.#resources.length = 0
    this.#byKey.clear()
    this.#ids.reset()
    this.#kinds = []
    this.#rareKinds.clear()
    const filled = resources.filter(r => r.scopes.length > 0)
    adoptByHalves(filled)
    return { resources: filled }
  }
}

/** Parts of one trace as one. */
export function combineTraces(parts: readonly Trace[]): Trace {
  const combiner = new TraceCombiner()
  for (const part of parts) combiner.addTrace(part)
  return combiner.finish()
}
