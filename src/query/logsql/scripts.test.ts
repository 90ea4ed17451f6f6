/** Scripts of LogsQL: filters, pipes, stats functions. */
import { defaultLimits } from '#core/limits.ts'
import { VirtualClock } from '#core/virtual-clock.ts'
import { testScripts, testWrongScripts, type RunScript } from '../../../test/script-suite.ts'
import { makeLogStore } from '../../../test/signal-worlds.ts'
import { runCommands, scriptStartMs } from '../script-commands.ts'
import { LogsqlEngine } from './engine.ts'
import { logsqlScripts } from './script.ts'

const clock = new VirtualClock(scriptStartMs + 3_600_000)
const engine = new LogsqlEngine(clock, defaultLimits)
const language = logsqlScripts(engine, () => makeLogStore(clock))
const run: RunScript = (text, onCase) => runCommands(text, language, onCase)

testScripts(new URL('testdata/', import.meta.url), run)

const distantLanguage = logsqlScripts(engine, () => makeLogStore(clock, true))
const runDistant: RunScript = (text, onCase) => runCommands(text, distantLanguage, onCase)
testScripts(new URL('testdata/', import.meta.url), runDistant, ', from another thread')

const load = 'load\n  {app="a"} 10s k=v "one"\n  {app="a"} 20s "two"\n\n'
testWrongScripts(run, [
  [`${load}eval one | fields _msg\n  _msg=two`, 5, /wanted {_msg="two"}/],
  [`${load}eval one | fields _msg, k\n  _msg=one`, 5, /wanted {_msg="one"}/],
  [`${load}eval * | fields _msg\n  _msg=one`, 5, /2 rows, wanted 1/],
  [`${load}eval * | sort by (_time) | fields _msg\n  expect ordered\n  _msg=two\n  _msg=one`, 5, /wanted/],
  [`${load}eval * | nosuchpipe(`, 5, /failed: /],
  [`${load}eval *\n  expect fail`, 5, /should have failed/],
])
