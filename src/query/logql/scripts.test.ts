/** Scripts of LogQL: stages, parsers, templates, aggregations, errors. */
import { defaultLimits } from '#core/limits.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { testScripts, testWrongScripts, type RunScript } from '../../../test/script-suite.ts'
import { makeLogStore } from '../../../test/signal-worlds.ts'
import { runCommands, scriptStartMs } from '../script-commands.ts'
import { LogqlEngine } from './engine.ts'
import { logqlScripts } from './script.ts'

const clock = new VirtualClock(scriptStartMs + 3_600_000)
const engine = new LogqlEngine(clock, defaultLimits, { seriesMax: 500, stepsMax: 11_000 })
const language = logqlScripts(engine, () => makeLogStore(clock))
const run: RunScript = (text, onCase) => runCommands(text, language, onCase)

testScripts(new URL('testdata/', import.meta.url), run)

const distantLanguage = logqlScripts(engine, () => makeLogStore(clock, true))
const runDistant: RunScript = (text, onCase) => runCommands(text, distantLanguage, onCase)
testScripts(new URL('testdata/', import.meta.url), runDistant, ', from another thread')

const load = 'load\n  {app="a"} 10s k=v "one"\n  {app="a"} 20s "two"\n\n'
testWrongScripts(run, [
  [`${load}eval lines {app="a"} |= "one"\n  10s "two"`, 5, /line 1 is "one", wanted/],
  [`${load}eval lines {app="a"} |= "one"\n  11s "one"`, 5, /line 1 is/],
  [`${load}eval lines {app="a"} |= "one"\n  {app="b", k="v"} 10s "one"`, 5, /line 1 has/],
  [`${load}eval lines {app="a"}\n  10s "one"`, 5, /2 lines, wanted 1/],
  [`${load}eval lines {app="a"}\n  20s "two"\n  10s "one"`, 5, /line 1 is "one"/],
  [`${load}eval lines {app="a"}\n  expect fail`, 5, /should have failed/],
  [`${load}eval lines {app=\n  expect fail msg: other`, 5, /failed with .* wanted "other"/],
  [`${load}eval lines {app=`, 5, /failed: /],
  [`${load}eval instant at 1m sum(count_over_time({app="a"}[1m]))\n  {} 3`, 5, /2, wanted/],
  [`${load}eval instant at 1m sum by (app) (count_over_time({app="a"}[1m]))\n  {} 2`, 5, /no series/],
  [`${load}eval instant at 1m 1 + 1\n  3`, 5, /scalar 2, wanted 3/],
  [`${load}eval range from 0 to 30s step 30s sum(count_over_time({app="a"}[1m]))\n  {} 2 2`, 5, /_ 2, wanted/],
])
