/** The file of tenants of a running process: it holds in workers too, and what is wrong in it changes nothing. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { postWrite, writeBody } from '../write-request.ts'

const nowMs = Math.floor(Date.now() / 1000) * 1000

async function fill({ url }: Running, tenant: string): Promise<void> {
  const series = ['x', 'y'].map(pod => ({
    labels: [
      ['__name__', 'm'],
      ['pod', pod],
    ] as [string, string][],
    samples: Array.from({ length: 100 }, (_, i): [number, number] => [nowMs - 100_000 + i * 1000, i]),
  }))
  assert.equal((await postWrite(url, writeBody(series), { 'x-scope-orgid': tenant })).status, 204)
}

async function statusOf({ url }: Running, tenant: string, path: string, init: RequestInit = {}): Promise<number> {
  const reply = await fetch(`${url}${path}`, { ...init, headers: { 'x-scope-orgid': tenant } })
  await reply.arrayBuffer()
  return reply.status
}

const range = `/api/v1/query_range?query=m&start=${nowMs / 1000 - 100}&end=${nowMs / 1000}&step=1`
const group = (name: string): RequestInit => ({
  method: 'POST',
  body: JSON.stringify({ name, rules: [{ record: 'r', expr: '1' }] }),
})
const rules = '/prometheus/config/v1/rules/space'

for (const workers of [0, 1])
  test(`limits of a tenant in a process with ${workers} workers, before and after a reload`, async () => {
    const directory = temporaryDirectory()
    const file = join(directory, 'tenants.yaml')
    const write = (text: string): void => {
      writeFileSync(file, text)
    }
    write('overrides: { a: { limits: { query_samples: 50, rule_groups: 1 } } }')
    const run = await runTercet(['tenancy=on', `tenants_file=${file}`, `workers=${workers}`], directory)
    try {
      for (const tenant of ['a', 'b']) await fill(run, tenant)
      const asked = async (): Promise<number[]> => {
        const statuses: number[] = []
        for (const tenant of ['a', 'b', 'a|b']) statuses.push(await statusOf(run, tenant, range))
        return statuses
      }
      assert.deepEqual(await asked(), [422, 200, 422])
      const set: number[] = []
      for (const tenant of ['a', 'b'])
        for (const name of ['one', 'two']) set.push(await statusOf(run, tenant, rules, group(name)))
      assert.deepEqual(set, [202, 400, 202, 202])

      write('overrides: { b: { limits.query_samples: 50 }, "*": { limits.rule_groups: 2 } }')
      assert.equal(await statusOf(run, 'a', '/-/reload', { method: 'POST' }), 200)
      assert.deepEqual(await asked(), [200, 422, 422])
      assert.equal(await statusOf(run, 'a', rules, group('two')), 202)

      // What is wrong changes nothing, and is told where people look.
      write('overrides: { a: { limits.query_samples: few } }')
      const reload = await fetch(`${run.url}/-/reload`, { method: 'POST' })
      assert.match(`${reload.status} ${await reload.text()}`, /^(?:4|5)\d\d .*tenants\.yaml:1:\d+: .*few/s)
      assert.deepEqual(await asked(), [200, 422, 422])
      const ready = await fetch(`${run.url}/-/ready`)
      assert.equal(ready.status, 200)
      assert.match(await ready.text(), /the file of tenants is wrong: .*tenants\.yaml:1:\d+/)

      write('')
      assert.equal(await statusOf(run, 'a', '/-/reload', { method: 'POST' }), 200)
      assert.deepEqual(await asked(), [200, 200, 200])
      assert.doesNotMatch(await (await fetch(`${run.url}/-/ready`)).text(), /file of tenants/)
    } finally {
      await run.stop()
    }
  })

test('a process does not start by a wrong file, without one that is named, and without tenancy', async () => {
  const directory = temporaryDirectory()
  const file = join(directory, 'tenants.yaml')
  await assert.rejects(runTercet(['tenancy=on', `tenants_file=${file}`]), /tenants_file: .* can't be read/)
  writeFileSync(file, 'overrides: { a: { limits.series: 1 } }')
  await assert.rejects(runTercet(['tenancy=on', `tenants_file=${file}`]), /tenants\.yaml:1:\d+: .*unknown key/)
  await assert.rejects(runTercet([`tenants_file=${file}`]), /needs tenancy: on/)
})
