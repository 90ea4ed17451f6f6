/** Records the shop of shop.ts with the verb, as a user does. */
import { runCommand, type CliResult } from '../run-cli.ts'

/** What can be planted, and the kind of finding that it must be. */
export const defects = {
  slow: 'latency',
  queries: 'queries',
  errors: 'new_errors',
  logs: 'new_log_errors',
  metrics: 'vanished_metrics',
  cardinality: 'cardinality',
} as const

export async function recordShop(directory: string, defect = ''): Promise<CliResult> {
  const result = await runCommand(['record', '--force', '-o', directory, '--', process.execPath, 'test/gate/shop.ts'], {
    env: { SHOP_DEFECT: defect },
  })
  if (result.code !== 0) throw new Error(result.err)
  return result
}
