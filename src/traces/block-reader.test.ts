/** Columns of a block that several queries want at once, and rows of columns whose pages end at different rows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryBucket } from '#bucket/memory.ts'
import { ParquetFile } from '#codec/parquet/file.ts'
import { seededRandom } from '#core/random.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { Span, Trace } from '#model/trace.ts'
import { RowAssembler } from './assemble.ts'
import { BlockReader } from './block-reader.ts'
import { buildBlock, putBlock, type BuiltBlock } from './block-writer.ts'
import { defaultDedicated, layoutOf } from './schema.ts'
import { TraceShredder } from './shred.ts'

const layout = layoutOf('vParquet5', defaultDedicated)
const pause = (): Promise<void> => Promise.resolve()
const traces = 12
const spansOfTrace = 900

function idOf(number: number, size: number): Uint8Array {
  const id = new Uint8Array(size)
  new DataView(id.buffer).setUint32(size - 4, number)
  return id
}

/** A trace of spans with names that can't be compressed, each with as many attributes as its number says. */
function traceOf(number: number, names: () => string): Trace {
  const spans = Array.from({ length: spansOfTrace }, (_, s): Span => ({
    traceId: idOf(number, 16),
    spanId: idOf(number * spansOfTrace + s, 8),
    parentSpanId: new Uint8Array(0),
    traceState: '',
    flags: 0,
    name: names(),
    kind: 2,
    startNs: 1000n,
    endNs: 2000n,
    attributes: Array.from({ length: number % 4 }, (_unused, a) => ({
      key: `a${a}`,
      value: { kind: 'int', value: BigInt(s) },
    })),
    droppedAttributes: 0,
    events: [],
    droppedEvents: 0,
    links: [],
    droppedLinks: 0,
    statusCode: 0,
    statusMessage: '',
  }))
  const resource = { attributes: [], dropped: 0 }
  const scope = { name: 'lib', version: '', attributes: [], dropped: 0 }
  return { resources: [{ resource, schemaUrl: '', scopes: [{ scope, schemaUrl: '', spans }] }] }
}

/** Its spans, a text each. */
function shown({ resources }: Trace): string[] {
  const spans = resources.flatMap(({ scopes }) => scopes.flatMap(scope => scope.spans))
  return spans.map(({ spanId, name, attributes }) => {
    const values = attributes.map(({ key, value }) => `${key}=${value.kind === 'int' ? value.value : value.kind}`)
    return [Buffer.from(spanId).toString('hex'), name, ...values].join(' ')
  })
}

/** Too large to be read as a whole. */
async function largeBlock(): Promise<BuiltBlock> {
  const random = seededRandom(5)
  const shredder = new TraceShredder(layout)
  for (let number = 0; number < traces; number++)
    shredder.add(
      idOf(number, 16),
      traceOf(number, () => Buffer.from(random.bytes(60)).toString('base64')),
    )
  const blockId = '00000001-0000-4000-8000-000000000001'
  const plan = { blockId, tenant: 'fake', level: 0, startMs: 0, endMs: 1, layout }
  const source = { rows: shredder.rows, columns: shredder.builders.map(b => b.data()) }
  return buildBlock(plan, [source], pause)
}

const built = await largeBlock()

test('a read that fails when nobody waits for it any more ends nothing', async () => {
  const clock = new VirtualClock(0)
  const bucket = new MemoryBucket(clock)
  await putBlock(bucket, built)
  const reader = new BlockReader(bucket, 64 * 1024 * 1024)
  const [rows] = await reader.rows(built.meta)
  assert.ok(built.meta.size > 512 * 1024)
  const fail: (() => void)[] = []
  bucket.getRange = () =>
    new Promise((_, reject) =>
      fail.push(() => {
        reject(new Error('the bucket is away'))
      }),
    )
  const first = rows!.columns(['TraceID'])
  // Waits for the first one's column, and reads one of its own.
  const second = rows!.columns(['TraceID', 'rs.ss.Spans.Name'])
  assert.equal(fail.length, 2)
  const seen: unknown[] = []
  const onUnhandled = (error: unknown): void => {
    seen.push(error)
  }
  process.on('unhandledRejection', onUnhandled)
  for (const one of fail) {
    one()
    await Promise.allSettled([first, second])
    await new Promise(setImmediate)
  }
  process.off('unhandledRejection', onUnhandled)
  await assert.rejects(first, /the bucket is away/)
  await assert.rejects(second, /the bucket is away/)
  assert.deepEqual(seen, [])
})

test('a row is put together of columns whose pages end elsewhere, or which are there as a whole', async () => {
  const { data, meta } = built
  const file = await ParquetFile.open((from, to) => Promise.resolve(data.subarray(from, to)), data.length)
  const whole = await file.readGroup(0)
  const all = new RowAssembler(whole, meta.dedicated)
  assert.equal(file.rows, traces)
  for (let row = 0; row < traces; row++) {
    const expected = shown(all.row(row).trace)
    assert.equal(expected.length, spansOfTrace)
    const alone = await file.readRow(0, row)
    for (const isAlone of [() => true, (i: number) => i % 2 === 0, (i: number) => i % 2 === 1]) {
      const columns = whole.map((column, i) => (isAlone(i) ? alone[i]! : column))
      assert.deepEqual(shown(new RowAssembler(columns, meta.dedicated).row(row).trace), expected)
    }
  }
})
