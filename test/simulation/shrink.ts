/** Makes a script that fails smaller: steps, batches and items are left out while it still fails in the same way. */
import type { RunResult } from './run.ts'
import type { Script, Step } from './script.ts'

/** Runs that one shrinking may take. */
const runsMax = 400

export interface Shrunken {
  script: Script
  failure: string
}

/** The kind of a failure: its text without the names of items. */
const kindOf = (failure: string): string =>
  failure
    .replace(/[\d,]+/g, '')
    .replace(/\s+/g, ' ')
    .slice(0, 60)

export async function shrink(
  script: Script,
  failure: string,
  run: (script: Script) => Promise<RunResult>,
): Promise<Shrunken> {
  let best: Shrunken = { script, failure }
  let runs = 0
  const accepts = async (steps: Step[]): Promise<boolean> => {
    if (runs++ >= runsMax) return false
    const smaller = { ...script, steps }
    const result = await run(smaller)
    if (result.failure === undefined || kindOf(result.failure) !== kindOf(failure)) return false
    best = { script: smaller, failure: result.failure }
    return true
  }
  await dropSteps(() => best.script.steps, accepts)
  for (let i = 0; i < best.script.steps.length; i++)
    for (;;) {
      const { steps } = best.script
      let isSmaller = false
      for (const simpler of simplerThan(steps[i]!))
        if (await accepts(steps.with(i, simpler))) {
          isSmaller = true
          break
        }
      if (!isSmaller) break
    }
  await dropSteps(() => best.script.steps, accepts)
  return best
}

/** Leaves out stretches of steps, halves first, single steps last. */
async function dropSteps(steps: () => Step[], accepts: (steps: Step[]) => Promise<boolean>): Promise<void> {
  for (let size = Math.ceil(steps().length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2))
    for (let at = 0; at < steps().length;) if (!(await accepts(steps().toSpliced(at, size)))) at += size
}

function simplerThan(step: Step): Step[] {
  if (step.do !== 'append') return []
  const simpler: Step[] = []
  if (step.batches.length > 1)
    for (let i = 0; i < step.batches.length; i++) simpler.push({ ...step, batches: step.batches.toSpliced(i, 1) })
  step.batches.forEach((items, i) => {
    if (items.length > 1)
      for (let k = 0; k < items.length; k++)
        simpler.push({ ...step, batches: step.batches.with(i, items.toSpliced(k, 1)) })
  })
  return simpler
}
