/**
 * Structural operators agree with their definitions, pair by pair, over random trees; and they do not compare all
 * pairs.
 */
import assert from 'node:assert/strict'
import test from 'node:test'
import { below, seededRandom } from '#core/random.ts'
import type { SpansetOp } from '#lang/traceql/ast.ts'
import { joinByStructure, mergeSpans, type NestedSets } from './relations.ts'

/** Whether l stands in the relation to r, as the operators are defined. */
function holds(base: string, l: number, r: number, { lefts, rights, parents }: NestedSets): boolean {
  switch (base) {
    case '>':
      return lefts[l]! !== 0 && parents[r]! === lefts[l]!
    case '<':
      return lefts[r]! !== 0 && parents[l]! === lefts[r]!
    case '>>':
      return lefts[l]! !== 0 && lefts[r]! > lefts[l]! && rights[r]! !== 0 && rights[r]! < rights[l]!
    case '<<':
      return lefts[r]! !== 0 && lefts[l]! > lefts[r]! && rights[l]! !== 0 && rights[l]! < rights[r]!
    default:
      return l !== r && parents[l]! !== 0 && parents[l]! === parents[r]!
  }
}

function byPairs(op: string, left: readonly number[], right: readonly number[], sets: NestedSets): number[] {
  const base = op.replace(/^[!&]/, '')
  const rights = (): number[] => right.filter(r => left.some(l => holds(base, l, r, sets)))
  if (op.startsWith('!')) return right.filter(r => !left.some(l => holds(base, l, r, sets)))
  if (!op.startsWith('&')) return rights()
  const lefts = left.filter(l => right.some(r => holds(base, l, r, sets)))
  return [...new Set([...lefts, ...rights()])].sort((a, b) => a - b)
}

/** A random tree; some spans have lost their place in it, and have no numbers. */
function randomSets(count: number, random: ReturnType<typeof seededRandom>): NestedSets {
  const children = Array.from({ length: count }, (): number[] => [])
  const roots: number[] = []
  for (let i = 0; i < count; i++) {
    const kind = below(random, 12)
    if (i === 0 || kind === 0) roots.push(i)
    else if (kind > 1) children[below(random, i)]!.push(i)
  }
  const sets = {
    lefts: new Float64Array(count),
    rights: new Float64Array(count),
    parents: new Float64Array(count),
  }
  let next = 1
  const visit = (span: number, parent: number): void => {
    sets.lefts[span] = next++
    sets.parents[span] = parent
    for (const child of children[span]!) visit(child, sets.lefts[span])
    sets.rights[span] = next++
  }
  for (const root of roots) visit(root, -1)
  return sets
}

const ops = ['>', '<', '>>', '<<', '~'].flatMap(base => [base, `!${base}`, `&${base}`]) as SpansetOp[]

test('every operator finds what its definition finds, over 300 random trees', () => {
  const seed = 20_261_129
  const random = seededRandom(seed)
  for (let i = 0; i < 300; i++) {
    const count = 1 + below(random, 40)
    const sets = randomSets(count, random)
    const some = (): number[] => Array.from({ length: count }, (_, k) => k).filter(() => below(random, 3) > 0)
    const left = some()
    const right = some()
    for (const op of ops)
      assert.deepEqual(
        joinByStructure(op, sets)(left, right),
        byPairs(op, left, right, sets),
        `seed ${seed}, tree ${i}, ${op}`,
      )
  }
})

test('a span without numbers, or with none that are numbers, has no relatives', () => {
  const sets = {
    lefts: Float64Array.of(NaN, NaN, 0, 1),
    rights: Float64Array.of(NaN, NaN, 0, 2),
    parents: Float64Array.of(NaN, NaN, 0, -1),
  }
  for (const op of ops) {
    const all = [0, 1, 2, 3]
    assert.deepEqual(joinByStructure(op, sets)(all, all), byPairs(op, all, all, sets), op)
  }
})

test('the numbers of 30,000 spans are read a few times each, not once a pair', () => {
  const count = 30_000
  const sets = randomSets(count, seededRandom(7))
  const all = Array.from({ length: count }, (_, i) => i)
  let reads = 0
  const counted = (numbers: Float64Array): Float64Array =>
    new Proxy(numbers, {
      get: (target, name) => {
        reads++
        return Reflect.get(target, name, target) as unknown
      },
    })
  const watched = { lefts: counted(sets.lefts), rights: counted(sets.rights), parents: counted(sets.parents) }
  for (const op of ops) {
    reads = 0
    joinByStructure(op, watched)(all, all)
    assert.ok(reads <= count * 100, `${op}: ${reads} reads`)
  }
})

test('lists of spans are merged in order, each span once', () => {
  assert.deepEqual(mergeSpans([1, 3, 5], [2, 3, 6, 7]), [1, 2, 3, 5, 6, 7])
  assert.deepEqual(mergeSpans([], [2]), [2])
  assert.deepEqual(mergeSpans([1, 2], []), [1, 2])
})
