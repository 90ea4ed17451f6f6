/** Places of spans in the tree of their trace, as left and right numbers. Rules: docs/formats/tempo-block.md. */

export interface TreeSpan { spanId: Uint8Array; parentSpanId: Uint8Array; kind: number }
export interface Places { left: Int32Array; right: Int32Array; parent: Int32Array; children: Int32Array }

const server = 2, client = 3

function keyOf(id: Uint8Array): string { return Buffer.from(id.buffer, id.byteOffset, id.length).toString('latin1') }

/** Numbers by span, in the order given; all 0 for a trace without a root or with an id that occurs more than twice. Cycles are never reached. */
export function nestedSet(spans: readonly TreeSpan[]): Places {
  const count = spans.length
  const places: Places = { left: new Int32Array(count), right: new Int32Array(count), parent: new Int32Array(count), children: new Int32Array(count) }
  const byId = new Map<string, number[]>()
  let roots = 0
  for (let i = 0; i < count; i++) {
    const key = keyOf(spans[i]!.spanId), same = byId.get(key)
    if (same === undefined) byId.set(key, [i])
    else if (same.push(i) > 2) return places
    if (spans[i]!.parentSpanId.length === 0) roots++
  }
  if (roots === 0) return places
  const parentOf = new Int32Array(count).fill(-1)
  const firstChild = new Int32Array(count).fill(-1), lastChild = new Int32Array(count).fill(-1), nextSibling = new Int32Array(count).fill(-1)
  for (let i = 0; i < count; i++) {
    const { parentSpanId, kind } = spans[i]!
    if (parentSpanId.length === 0) continue
    const candidates = byId.get(keyOf(parentSpanId))
    if (candidates === undefined) continue
    const parent = candidates.length === 1 ? candidates[0]! : candidates.find(c => spans[c]!.kind === (kind === server ? client : server))
    if (parent === undefined) continue
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
