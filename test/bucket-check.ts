/** `tercet check bucket` in the test's own process. */
import { silentLog } from '#core/log.ts'
import { loadConfig } from '../src/app/config.ts'
import { systemWorld } from '../src/app/world.ts'
import { checkBuckets } from '../src/ops/check-buckets.ts'

export interface CheckedBucket {
  code: number
  /** `check: what was found; what to do` of what is bad. */
  bad: string[]
  /** All of it, with the level before each. */
  all: string[]
}

export async function checkBucket(flags: readonly string[]): Promise<CheckedBucket> {
  let text = ''
  const output = {
    out: (line: string) => {
      text += line
    },
    err: () => {},
  }
  const code = await checkBuckets(loadConfig({ environment: {}, flags }), systemWorld(silentLog), true, output)
  const { findings } = JSON.parse(text) as {
    findings: { check: string; level: string; found: string; advice: string }[]
  }
  const shown = findings.map(({ check, level, found, advice }) => ({ level, line: `${check}: ${found}; ${advice}` }))
  return {
    code,
    bad: shown.filter(({ level }) => level === 'bad').map(({ line }) => line),
    all: shown.map(({ level, line }) => `${level} ${line}`),
  }
}
