/** Runs many seeds and reports those that fail, as small as they can be made. */
import { logs } from './logs.ts'
import { metrics } from './metrics.ts'
import { runScript } from './run.ts'
import { parseScript, scriptOf, textOf } from './script.ts'
import { shrink } from './shrink.ts'
import type { SimulatedSignal } from './signal.ts'
import { traces } from './traces.ts'

export const simulatedSignals: readonly SimulatedSignal[] = [metrics, logs, traces]

export interface SimulateOptions {
  from: number
  count: number
  /** One name, or `all`. */
  signal: string
  /** The text of one script, in place of seeds. */
  script: string | undefined
  /** Prints every event. */
  isVerbose: boolean
  /** Looks for the smallest script that fails. */
  shrinks: boolean
  /** Stops after so many seeds of a signal that fail. */
  failuresMax: number
  print: (text: string) => void
}

/** The exit code: 1 when a seed failed, 2 when the signal is unknown. */
export async function simulate(options: SimulateOptions): Promise<number> {
  const wanted = simulatedSignals.filter(({ name }) => options.signal === 'all' || options.signal === name)
  if (wanted.length === 0) {
    options.print(`--signal ${options.signal}: must be all or one of ${simulatedSignals.map(s => s.name).join(', ')}`)
    return 2
  }
  let failed = 0
  for (const signal of wanted) failed += await simulateOne(signal, options)
  return failed === 0 ? 0 : 1
}

async function simulateOne(signal: SimulatedSignal, options: SimulateOptions): Promise<number> {
  const { isVerbose, failuresMax, print } = options
  const given = options.script === undefined ? undefined : parseScript(options.script)
  const [from, count] = given === undefined ? [options.from, options.count] : [given.seed, 1]
  const sum = { appends: 0, acknowledged: 0, checks: 0, replays: 0 }
  let failed = 0
  let seed = from
  for (; seed < from + count && failed < failuresMax; seed++) {
    const { failure, step, stats } = await runScript(signal, given ?? scriptOf(seed), isVerbose ? print : undefined)
    for (const name of ['appends', 'acknowledged', 'checks', 'replays'] as const) sum[name] += stats[name]
    if (failure === undefined) continue
    failed++
    print(`${signal.name}, seed ${seed}, step ${step}: ${failure}`)
    if (options.shrinks && given === undefined) await printShrunken(signal, seed, failure, print)
  }
  print(
    `${signal.name}: seeds ${from} to ${seed - 1}, ${failed} failed; ${sum.appends} appends, ` +
      `${sum.acknowledged} items acknowledged, ${sum.checks} answers checked, ${sum.replays} logs read back`,
  )
  return failed
}

async function printShrunken(
  signal: SimulatedSignal,
  seed: number,
  failure: string,
  print: (text: string) => void,
): Promise<void> {
  const smaller = await shrink(scriptOf(seed), failure, script => runScript(signal, script))
  print(`shrunken to ${smaller.script.steps.length} steps: ${smaller.failure}\n${textOf(smaller.script)}\n`)
}
