/** Dashboards of tenants, and what the web interface is told of them. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { credentialsFile, type Credential } from './access-world.ts'

const credentials: readonly Credential[] = [
  { name: 'a', verbs: ['read'], tenants: ['a'] },
  { name: 'two', verbs: ['read'], tenants: ['a', 'b'] },
  { name: 'all', verbs: ['read'] },
]

const directory = temporaryDirectory()
let run: Running
before(async () => {
  for (const place of ['common', 'of/a', 'of/b']) {
    mkdirSync(join(directory, place), { recursive: true })
    writeFileSync(join(directory, place, 'home.json'), JSON.stringify({ title: place, panels: [] }))
  }
  writeFileSync(join(directory, 'of/b/more.json'), JSON.stringify({ title: 'more', panels: [] }))
  writeFileSync(join(directory, 'credentials.yaml'), await credentialsFile(credentials))
  const patterns = ['common/*.json', 'of/<tenant>/*.json', 'of/<tenant>/more.json'].map(one => join(directory, one))
  run = await runTercet(
    ['tenancy=on', `auth.file=${directory}/credentials.yaml`, `dashboard_files=${patterns.join(',')}`],
    directory,
  )
})
after(() => run.stop())

async function ask<T>(name: string, path: string, tenant?: string): Promise<T> {
  const authorization = `Bearer token-of-${name}`
  const headers = { authorization, ...(tenant === undefined ? {} : { 'x-scope-orgid': tenant }) }
  const reply = await fetch(`${run.url}${path}`, { headers })
  assert.equal(reply.status, 200, path)
  return (await reply.json()) as T
}

test('a caller sees the dashboards of its tenants, and the common ones', async () => {
  const titles = async (name: string, tenant?: string): Promise<string[]> => {
    const { dashboards } = await ask<{ dashboards: { text: string }[] }>(name, '/api/tercet/dashboards', tenant)
    return dashboards.map(({ text }) => (JSON.parse(text) as { title: string }).title)
  }
  assert.deepEqual(await titles('a'), ['common', 'of/a'])
  assert.deepEqual(await titles('two'), ['common', 'of/a', 'of/b', 'more', 'more'])
  assert.deepEqual(await titles('two', 'a'), ['common', 'of/a'])
  assert.deepEqual(await titles('all'), ['common'])
  assert.deepEqual(await titles('all', 'c'), ['common'])
})

test('the web interface is told whether there are tenants, and which of them somebody may look at', async () => {
  const who = (name: string) => ask<{ tenancy: boolean; tenants: string[] | null }>(name, '/auth/whoami')
  const [one, two, all] = [await who('a'), await who('two'), await who('all')]
  assert.deepEqual([one.tenancy, one.tenants, two.tenants, all.tenants], [true, ['a'], ['a', 'b'], null])
})

test('the place of a tenant is a directory, and takes tenants', async () => {
  const refused = async (flags: readonly string[], message: RegExp): Promise<void> => {
    await assert.rejects(runTercet(flags), message)
  }
  await refused(['dashboard_files=/of/<tenant>/*.json'], /<tenant> in \/of\/<tenant>\/\*\.json needs tenancy=on/)
  for (const pattern of ['/of/<tenant>*.json', '/of/x-<tenant>/*.json', '/of/<tenant>'])
    await refused(['tenancy=on', `dashboard_files=${pattern}`], /stands for a directory/)
})
