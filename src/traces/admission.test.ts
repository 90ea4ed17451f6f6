/** Which spans are taken in, which refusals pass with time, and how the refused ones are named. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { AppendOutcome } from '#model/append-outcome.ts'
import type { Span } from '#model/trace.ts'
import { SpanAdmission, type TraceLimits } from './admission.ts'

const nowMs = 1_700_000_000_000
const limits: TraceLimits = {
  futureMs: 60_000,
  traceBytesMax: 100,
  attributeBytesMax: 10,
  attributesMax: 2,
  requestSpansMax: 4,
  liveTracesMax: 2,
}

function spanOf(own: Partial<Span> = {}): Span {
  return {
    traceId: Buffer.alloc(16, 1),
    spanId: Buffer.alloc(8, 2),
    parentSpanId: Buffer.alloc(0),
    traceState: '',
    flags: 0,
    name: 'n',
    kind: 0,
    startNs: 0n,
    endNs: 0n,
    attributes: [],
    droppedAttributes: 0,
    events: [],
    droppedEvents: 0,
    links: [],
    droppedLinks: 0,
    statusCode: 0,
    statusMessage: '',
    ...own,
  }
}
/** Bytes of the span's trace, which is live. */
const live = 0

function admitting(): { outcome: AppendOutcome; admission: SpanAdmission } {
  const outcome: AppendOutcome = { stored: 0, refused: 0, problems: [] }
  return { outcome, admission: new SpanAdmission(limits, nowMs, outcome, () => spanOf()) }
}
const nothing = new Uint8Array(0)

test('no room for a new trace passes with time; spans of live traces are taken meanwhile', () => {
  const { outcome, admission } = admitting()
  assert.equal(admission.admit(spanOf(), undefined, 1, nothing), true)
  assert.equal(admission.admit(spanOf(), undefined, 2, nothing), false)
  assert.equal(admission.admit(spanOf(), live, 2, nothing), true)
  assert.equal(outcome.passes, true)
  assert.deepEqual(
    outcome.refusedAt?.map(({ at, passes }) => [at, passes]),
    [[1, true]],
  )
})

test('what stays wrong is not answered as passing', () => {
  const string = (value: string): Span['attributes'] => [{ key: 'k', value: { kind: 'string', value } }]
  const cases: [own: Partial<Span>, reason: RegExp][] = [
    [{ traceId: Buffer.alloc(15, 1) }, /has 120 bits/],
    [{ traceId: Buffer.alloc(17, 1) }, /has 136 bits/],
    [{ traceId: Buffer.alloc(16) }, /not all zero/],
    [{ spanId: Buffer.alloc(7, 1) }, /has 56 bits/],
    [{ parentSpanId: Buffer.alloc(4, 1) }, /has 32 bits/],
    [{ startNs: BigInt(nowMs + 60_001) * 1_000_000n }, /in the future/],
    [{ attributes: string('x'.repeat(10)) }, /has 11 bytes, the limit is 10/],
  ]
  for (const [own, reason] of cases) {
    const { outcome, admission } = admitting()
    assert.equal(admission.admit(spanOf(own), live, 0, nothing), false, String(reason))
    assert.match(outcome.problems[0]!.message, reason)
    assert.equal(outcome.passes, undefined)
    assert.deepEqual(outcome.refusedAt, [{ at: 0, message: outcome.problems[0]!.message, passes: false }])
  }
})
