/** /federate reads a few series at a time, whatever it is asked for, and its text comes in pieces. */
import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultLimits } from '#core/limits.ts'
import { Omissions } from '#core/omissions.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import type { MetricsReader, SeriesSet } from '#metrics/select.ts'
import { Labels } from '#model/labels.ts'
import type { HttpReply, HttpRequest } from '#net/route-table.ts'
import { federate } from './federate.ts'

const nowMs = 1_700_000_000_000

/** Series of two metrics in the order of their pods; it notes how many are loaded at a time. */
class ManySeries implements SeriesSet {
  readonly labels: readonly Labels[]
  loaded = 0
  mostLoaded = 0

  constructor(count: number) {
    this.labels = Array.from({ length: count }, (_, i) =>
      Labels.fromObject({ __name__: i % 2 === 0 ? 'b' : 'a', pod: `pod-${i}` }),
    )
  }

  load(from: number, to: number): Promise<void> {
    this.loaded = to - from
    this.mostLoaded = Math.max(this.mostLoaded, this.loaded)
    return Promise.resolve()
  }

  read(i: number, into: Parameters<SeriesSet['read']>[1]): void {
    into.pushFloat(nowMs - 1000, i - 1)
    into.pushFloat(nowMs, i)
  }

  release(): void {
    this.loaded = 0
  }
}

async function ask(set: ManySeries, matches: string[]): Promise<HttpReply> {
  const reader = { omissions: new Omissions(), select: () => Promise.resolve(set) } as unknown as MetricsReader
  const form = new URLSearchParams(matches.map(match => ['match[]', match]))
  const request = { form: () => Promise.resolve(form), signal: undefined } as unknown as HttpRequest
  return federate(request, reader, new VirtualClock(nowMs), defaultLimits)
}

function textOf({ body }: HttpReply): { text: string; longest: number } {
  const pieces = [...(body as Iterable<string>)]
  return { text: pieces.join(''), longest: Math.max(...pieces.map(piece => piece.length)) }
}

test('the latest sample of each series, by name', async () => {
  const { text } = textOf(await ask(new ManySeries(4), ['{pod=~".+"}']))
  const wanted = [
    '# TYPE a untyped',
    `a{pod="pod-1",instance=""} 1 ${nowMs}`,
    `a{pod="pod-3",instance=""} 3 ${nowMs}`,
    '# TYPE b untyped',
    `b{pod="pod-0",instance=""} 0 ${nowMs}`,
    `b{pod="pod-2",instance=""} 2 ${nowMs}`,
    '',
  ]
  assert.deepEqual(text.split('\n'), wanted)
})

test('what several selectors choose is there once', async () => {
  const { text } = textOf(await ask(new ManySeries(4), ['a', 'b']))
  assert.equal(text.split('\n').length, 7)
})

test('of 20,000 series 256 are loaded at a time, and the text comes in pieces of 64 KiB', async () => {
  const set = new ManySeries(20_000)
  const reply = await ask(set, ['{pod=~".+"}'])
  assert.ok(set.mostLoaded <= 256, `${set.mostLoaded} series`)
  assert.equal(set.loaded, 0)
  const { text, longest } = textOf(reply)
  assert.equal(text.split('\n').length, 20_003)
  assert.ok(longest < 70_000, `${longest} characters`)
})
