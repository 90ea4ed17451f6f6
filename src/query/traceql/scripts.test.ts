/** Scripts of TraceQL: conditions, spanset operators, pipelines, metrics. */
import { defaultLimits } from '#core/limits.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { testScripts, testWrongScripts, type RunScript } from '../../../test/script-suite.ts'
import { makeTraceStore } from '../../../test/signal-worlds.ts'
import { TraceMetrics } from './metrics.ts'
import { traceqlScripts } from './script.ts'
import { runCommands, scriptStartMs } from '../script-commands.ts'
import { TraceSearch } from './search.ts'

const clock = new VirtualClock(scriptStartMs + 3_600_000)
const engines = {
  search: new TraceSearch(clock, defaultLimits),
  metrics: new TraceMetrics(clock, defaultLimits),
}
const language = traceqlScripts(engines, () => makeTraceStore(clock))
const run: RunScript = (text, onCase) => runCommands(text, language, onCase)

testScripts(new URL('testdata/', import.meta.url), run)

const distantLanguage = traceqlScripts(engines, () => makeTraceStore(clock, true))
const runDistant: RunScript = (text, onCase) => runCommands(text, distantLanguage, onCase)
testScripts(new URL('testdata/', import.meta.url), runDistant, ', from another thread')

const load = 'load\n  trace 1\n  span 1 "a" 10s 1s service=s\n  span 2 < 1 "b" 11s 2s service=s\n\n'
testWrongScripts(run, [
  [`${load}eval search { name = "a" }\n  trace 1: 2`, 6, /trace 1: 1, wanted trace 1: 2/],
  [`${load}eval search { name = "a" }`, 6, /trace 1: 1, wanted $/],
  [`${load}eval search { name = "c" }\n  trace 1: 1`, 6, /^, wanted trace 1: 1/],
  [`${load}eval search {} | count() > 1\n  trace 1: 1 2 [count()=3]`, 6, /count\(\)=2/],
  [`${load}eval search { name = }`, 6, /failed: /],
  [`${load}eval search {}\n  expect fail`, 6, /should have failed/],
  [`${load}eval instant from 0s to 1m {} | count_over_time()\n  {__name__="count_over_time"} 3`, 6, /2, wanted/],
  [`${load}eval instant from 0s to 1m {} | rate() by (name)\n  {name="a"} 1`, 6, /2 series, wanted 1/],
  [`${load}eval range from 0s to 1m step 1m {} | rate()\n  {__name__="rate"} 0 1`, 6, /wanted/],
])
