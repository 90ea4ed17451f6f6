import assert from 'node:assert/strict'
import { test } from 'node:test'
import { everything } from '#net/access.ts'
import type { HttpRequest } from '#net/route-table.ts'
import { tenantRoutes, type ListedTenant } from './tenants.ts'

async function ask(count: number): Promise<{ tenants: ListedTenant[]; leftOff: number }> {
  const none = { active: 0, received: 0, receivedBytes: 0, refused: {}, queries: 0, blocks: 0, blockBytes: 0 }
  const rows = Array.from({ length: count }, (_, i): ListedTenant => ({ signal: 'logs', tenant: `t${i}`, ...none }))
  const [route] = tenantRoutes(() => rows)
  const { body } = await route!.handler({ grant: everything } as HttpRequest)
  return JSON.parse(body as string) as { tenants: ListedTenant[]; leftOff: number }
}

test('an answer that is too long says how much it lacks', async () => {
  const { tenants, leftOff } = await ask(20_003)
  assert.deepEqual([tenants.length, leftOff], [20_000, 3])
  assert.equal((await ask(3)).leftOff, 0)
})
