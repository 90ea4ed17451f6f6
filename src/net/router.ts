/** Finds what belongs to a method and a path: a tree of the path's parts. */
import { BadDataError } from '#core/errors.ts'

interface Node<Value> {
  readonly fixed: Map<string, Node<Value>>
  /** Below a part that may be anything (`:name`). */
  any: Node<Value> | undefined
  /** By method; of a path that ends here, and of one whose rest may be anything (`*`). */
  readonly ends: Map<string, Found<Value>>
  readonly rests: Map<string, Found<Value>>
}

interface Found<Value> {
  readonly value: Value
  readonly names: readonly string[]
}

export interface Match<Value> {
  value: Value
  params: Record<string, string>
}

/** Longer parts of a path have no route. */
const paramLengthMax = 2000

function newNode<Value>(): Node<Value> {
  return { fixed: new Map(), any: undefined, ends: new Map(), rests: new Map() }
}

/** A slash at the end of a path means nothing. */
function partsOf(path: string): string[] {
  const parts = path.split('/').slice(1)
  if (parts.at(-1) === '') parts.pop()
  return parts
}

/** Throws BadDataError for what is no encoded text. */
function decoded(part: string): string {
  if (!part.includes('%')) return part
  try {
    return decodeURIComponent(part)
  } catch (error) {
    throw new BadDataError(`${JSON.stringify(part)} of the path is not encoded as URLs are`, { cause: error })
  }
}

export class Router<Value> {
  readonly #root = newNode<Value>()

  /** Throws where the method and the path are taken. */
  add(method: string, path: string, value: Value): void {
    let node = this.#root
    const names: string[] = []
    const parts = partsOf(path)
    const isOpen = parts.at(-1) === '*'
    for (const part of isOpen ? parts.slice(0, -1) : parts) {
      if (part.startsWith(':')) {
        names.push(part.slice(1))
        node = node.any ??= newNode()
        continue
      }
      let next = node.fixed.get(part)
      if (next === undefined) node.fixed.set(part, (next = newNode()))
      node = next
    }
    if (isOpen) names.push('*')
    const values = isOpen ? node.rests : node.ends
    if (values.has(method)) throw new Error(`${method} ${path} is already declared`)
    values.set(method, { value, names })
  }

  /** Fixed parts come before open ones. HEAD finds what GET does. Throws BadDataError for a path that is no text. */
  find(method: string, path: string): Match<Value> | undefined {
    const parts = partsOf(path).map(decoded)
    const methods = method === 'HEAD' ? ['HEAD', 'GET'] : [method]
    const taken: string[] = []
    const found = search(this.#root, parts, 0, methods, taken)
    if (found === undefined || taken.some(part => part.length > paramLengthMax)) return undefined
    const params: Record<string, string> = {}
    found.names.forEach((name, i) => (params[name] = taken[i] ?? ''))
    return { value: found.value, params }
  }
}

function first<Value>(values: ReadonlyMap<string, Found<Value>>, methods: readonly string[]): Found<Value> | undefined {
  for (const method of methods) {
    const found = values.get(method)
    if (found !== undefined) return found
  }
  return undefined
}

/** The rest of a path, by the name `*`, is what stands there between the slashes, put together again. */
function rest<Value>(
  node: Node<Value>,
  parts: readonly string[],
  methods: readonly string[],
  taken: string[],
): Found<Value> | undefined {
  const found = first(node.rests, methods)
  if (found !== undefined) taken.push(parts.join('/'))
  return found
}

/** Leaves in `taken` what the open parts of the path are. */
function search<Value>(
  node: Node<Value>,
  parts: readonly string[],
  at: number,
  methods: readonly string[],
  taken: string[],
): Found<Value> | undefined {
  if (at === parts.length) return first(node.ends, methods) ?? rest(node, [], methods, taken)
  const part = parts[at]!
  const next = node.fixed.get(part)
  const found = next && search(next, parts, at + 1, methods, taken)
  if (found !== undefined) return found
  if (node.any !== undefined) {
    taken.push(part)
    const below = search(node.any, parts, at + 1, methods, taken)
    if (below !== undefined) return below
    taken.pop()
  }
  return rest(node, parts.slice(at), methods, taken)
}
