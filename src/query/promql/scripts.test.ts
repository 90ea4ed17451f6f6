/** Scripts in promqltest notation: every function, aggregation and operator. Covers req-002. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '#core/clock.ts'
import { defaultLimits } from '#core/limits.ts'
import { functions } from '#lang/promql/functions.ts'
import type { MetricsReader } from '#metrics/select.ts'
import { makeDistantHeadStore, makeHeadStore, scriptEngine } from '../../../test/head-store.ts'
import { testScripts, testWrongScripts, type RunScript } from '../../../test/script-suite.ts'
import { runCommands } from '../script-commands.ts'
import { PromqlEngine, type QueryResult, type RangeRequest } from './engine.ts'
import { KeptAnswers } from './kept-answers.ts'
import { promqlScripts } from './script.ts'

const language = promqlScripts(scriptEngine, makeHeadStore)
const run: RunScript = (text, onCase) => runCommands(text, language, onCase)
const scripts = testScripts(new URL('testdata/', import.meta.url), run)

const distantLanguage = promqlScripts(scriptEngine, makeDistantHeadStore)
const runDistant: RunScript = (text, onCase) => runCommands(text, distantLanguage, onCase)
testScripts(new URL('testdata/', import.meta.url), runDistant, ', from another thread')

/** Asks for a part of each range first, so that the rest is put together with what was kept. */
class AskedInParts extends PromqlEngine {
  override async range(reader: MetricsReader, request: RangeRequest): Promise<QueryResult> {
    const { startMs, endMs, stepMs } = request
    const steps = Math.max(0, Math.floor((endMs - startMs) / stepMs))
    const middle = { startMs: startMs + Math.ceil(steps / 3) * stepMs, endMs: startMs + Math.ceil(steps / 2) * stepMs }
    await super.range(reader, { ...request, ...middle }).catch(() => {})
    await super.range(reader, request).catch(() => {})
    return super.range(reader, request)
  }
}

const keptLanguage = promqlScripts(
  new AskedInParts(systemClock, defaultLimits, new KeptAnswers(1 << 24)),
  makeDistantHeadStore,
)
const runKept: RunScript = (text, onCase) => runCommands(text, keptLanguage, onCase)
testScripts(new URL('testdata/', import.meta.url), runKept, ', put together from kept answers')

test('the scripts use every function', () => {
  const all = scripts.join('\n')
  const missing = Object.keys(functions).filter(name => !all.includes(`${name}(`) && !all.includes(`${name} (`))
  assert.deepEqual(missing, [])
})

testWrongScripts(run, [
  ['load 1m\n  a 1 2\n\neval instant at 1m a\n  a 3', 4, /2, wanted 3/],
  ['eval instant at 0 vector(1)\n  {} 1\n\neval instant at 0 vector(1)\n', 4, /1 series, wanted 0/],
  ['load 1m\n  a{x="1"} 1\n\neval instant at 0 a\n  a{x="2"} 1', 4, /no series/],
  ['load 1m\n  a 1 2 3\n\neval range from 0 to 2m step 1m a\n  a 1 2 _', 4, /wanted/],
  ['eval instant at 0 1 + 1\n  3', 1, /scalar 2, wanted 3/],
  ['eval instant at 0 "a"\n  expect string "b"', 1, /string "a"/],
  ['eval instant at 0 vector(1)\n  expect fail', 1, /should have failed/],
  ['eval instant at 0 nosuch(1)', 1, /failed: /],
  ['eval instant at 0 nosuch(1)\n  expect fail msg: other', 1, /failed with .* wanted "other"/],
  ['eval instant at 0 vector(1)\n  expect warn\n  {} 1', 1, /no warnings/],
  ['load 1m\n  a{x="1"} 1\n  a{x="2"} 2\n\neval_ordered instant at 0 sort(a)\n  a{x="2"} 2\n  a{x="1"} 1', 5, /place/],
])
