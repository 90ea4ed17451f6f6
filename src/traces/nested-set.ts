/** Places of spans in the tree of their trace, as left and right numbers. Rules: docs/formats/tempo-block.md. */

import { SpanIds } from '#model/span-ids.ts'

export interface TreeSpan {
  spanId: Uint8Array
  parentSpanId: Uint8Array
  kind: number
}
export interface Places {
  left: Int32Array
  right: Int32Array
  parent: Int32Array
  children: Int32Array
}

const server = 2
const client = 3

/** Used from trace to trace. */
const ids = new SpanIds()

/** Links among the spans of a trace, by span; -1: none. */
class Tree {
  readonly parent: Int32Array
  readonly firstChild: Int32Array
  readonly nextSibling: Int32Array
  readonly #lastChild: Int32Array

  constructor(count: number) {
    this.parent = new Int32Array(count).fill(-1)
    this.firstChild = new Int32Array(count).fill(-1)
    this.nextSibling = new Int32Array(count).fill(-1)
    this.#lastChild = new Int32Array(count).fill(-1)
  }

  link(child: number, parent: number): void {
    this.parent[child] = parent
    const last = this.#lastChild[parent]!
    if (last < 0) this.firstChild[parent] = child
    else this.nextSibling[last] = child
    this.#lastChild[parent] = child
  }
}

/**
 * Numbers by span, in the order given; all 0 for a trace without a root or with an id that occurs more than twice.
 * Cycles are never reached.
 */
export function nestedSet(spans: readonly TreeSpan[]): Places {
  const count = spans.length
  const places: Places = {
    left: new Int32Array(count),
    right: new Int32Array(count),
    parent: new Int32Array(count),
    children: new Int32Array(count),
  }
  const tree = treeOf(spans, places.children)
  if (tree === undefined) return places
  let counter = 0
  for (let root = 0; root < count; root++)
    if (spans[root]!.parentSpanId.length === 0) counter = numberFrom(root, counter, tree, places)
  return places
}

/** Undefined for a trace that gets no numbers. Counts the children of each span. */
function treeOf(spans: readonly TreeSpan[], children: Int32Array): Tree | undefined {
  const count = spans.length
  ids.reset()
  // The spans of an id: at most two.
  const first = new Int32Array(count).fill(-1)
  const second = new Int32Array(count).fill(-1)
  let roots = 0
  for (let i = 0; i < count; i++) {
    const number = ids.add(spans[i]!.spanId)
    if (first[number]! < 0) first[number] = i
    else if (second[number]! < 0) second[number] = i
    else return undefined
    if (spans[i]!.parentSpanId.length === 0) roots++
  }
  if (roots === 0) return undefined
  const tree = new Tree(count)
  for (let i = 0; i < count; i++) {
    const { parentSpanId, kind } = spans[i]!
    if (parentSpanId.length === 0) continue
    const number = ids.find(parentSpanId)
    if (number < 0) continue
    const a = first[number]!
    const b = second[number]!
    const wanted = kind === server ? client : server
    const parent = b < 0 || spans[a]!.kind === wanted ? a : spans[b]!.kind === wanted ? b : -1
    if (parent < 0) continue
    children[parent]!++
    tree.link(i, parent)
  }
  return tree
}

/** Numbers all below a root from `counter` on, and returns the last number. */
function numberFrom(root: number, counter: number, tree: Tree, { left, right, parent }: Places): number {
  const { firstChild, nextSibling, parent: parentOf } = tree
  // Down to the first child, on to the next sibling, up when there is none.
  let at = root
  left[at] = ++counter
  parent[at] = -1
  for (;;) {
    const child = firstChild[at]!
    if (child >= 0 && left[child] === 0) {
      left[child] = ++counter
      parent[child] = left[at]!
      at = child
      continue
    }
    right[at] = ++counter
    if (at === root) return counter
    const next = nextSibling[at]!
    if (next >= 0) {
      left[next] = ++counter
      parent[next] = parent[at]!
      at = next
      continue
    }
    at = parentOf[at]!
    // All its children are done: it is closed by the next turn of the loop.
    firstChild[at] = -1
  }
}
