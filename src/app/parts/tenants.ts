/** Limits and retention of single tenants: their file is read again when it has changed. */
import { Repeater } from '#core/clock.ts'
import { messageOf } from '#core/errors.ts'
import type { Context } from '../context.ts'
import { makePart, type Part } from '../part.ts'
import { readTenants } from '../tenants-file.ts'

const lookEveryMs = 10_000

/** `onChange`: told when others hold. */
export function makeTenants(
  { config, world, overrides }: Pick<Context, 'config' | 'world' | 'overrides'>,
  onChange: () => void,
): Part {
  const { clock, files, log } = world
  let used: string | undefined
  let problem: string | undefined
  const read = async (): Promise<void> => {
    try {
      const found = await readTenants(config, files)
      problem = undefined
      if (found === undefined || found.text === used) return
      const isFirst = used === undefined
      used = found.text
      overrides.use(found.table)
      onChange()
      if (!isFirst) log.info('limits of tenants have changed', { tenants: found.table.tenants.size })
    } catch (error) {
      problem = messageOf(error)
      throw error
    }
  }
  const look = async (): Promise<void> => {
    const before = problem
    await read().catch(() => undefined)
    if (problem !== undefined && problem !== before)
      log.error('the file of tenants is wrong; what was read before holds', { error: problem })
  }
  let repeater: Repeater | undefined
  return makePart({
    name: 'tenants',
    start: async () => {
      await read()
      if (config.text('tenants_file') !== '') repeater = new Repeater(clock, lookEveryMs, look)
    },
    stop: async () => {
      await repeater?.stop()
    },
    reload: read,
    warning: () => (problem === undefined ? undefined : `the file of tenants is wrong: ${problem}`),
  })
}
