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

const server = 2,
  client = 3

/** Used from trace to trace. */
const ids = new SpanIds()

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
  ids.reset()
  // The spans of an id: at most two.
  const first = new Int32Array(count).fill(-1),
    second = new Int32Array(count).fill(-1)
  let roots = 0
  for (let i = 0; i < count; i++) {
    const number = ids.add(spans[i]!.spanId)
    if (first[number]! < 0) first[number] = i
    else if (second[number]! < 0) second[number] = i
    else return places
    if (spans[i]!.parentSpanId.length === 0) roots++
  }
  if (roots === 0) return places
  const parentOf = new Int32Array(count).fill(-1)
  const firstChild = new Int32Array(count).fill(-1),
    lastChild = new Int32Array(count).fill(-1),
    nextSibling = new Int32Array(count).fill(-1)
  for (let i = 0; i < count; i++) {
    const { parentSpanId, kind } = spans[i]!
    if (parentSpanId.length === 0) continue
    const number = ids.find(parentSpanId)
    if (number < 0) continue
    const a = first[number]!,
      b = second[number]!
    const wanted = kind === server ? client : server
    const parent = b < 0 || spans[a]!.kind === wanted ? a : spans[b]!.kind === wanted ? b : -1
    if (parent < 0) continue
    parentOf[i] = parent
    places.children[parent]!++
    if (lastChild[parent]! < 0) firstChild[parent] = i
    else nextSibling[lastChild[parent]!] = i
    lastChild[parent] = i
  }
  let counter = 0
  for (let root = 0; root < count; root++) {
    if (spans[root]!.parentSpanId.length !== 0) continue
    // Down to the first child, on to the next sibling, up when there is none.
    let at = root
    places.left[at] = ++counter
    places.parent[at] = -1
    for (;;) {
      const child = firstChild[at]!
      if (child >= 0 && places.left[child] === 0) {
        places.left[child] = ++counter
        places.parent[child] = places.left[at]!
        at = child
        continue
      }
      places.right[at] = ++counter
      if (at === root) break
      const next = nextSibling[at]!
      if (next >= 0) {
        places.left[next] = ++counter
        places.parent[next] = places.parent[at]!
        at = next
        continue
      }
      at = parentOf[at]!
      // All its children are done: it is closed by the next turn of the loop.
      firstChild[at] = -1
    }
  }
  return places
}
