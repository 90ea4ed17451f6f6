/** The web interface of a process with tenants, in a real browser: the field that says whose data is looked at. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { chromium, type Browser, type Page } from 'playwright-core'
import { hashPassword } from '../../src/auth/password-hash.ts'
import { needs, programPath } from '../peers.ts'
import { runTercet, temporaryDirectory, type Running } from '../run-tercet.ts'
import { untilTrue } from '../until.ts'

const skip = needs('chromium').skip

suite('tenants in the web interface', { skip }, () => {
  let running: Running
  let browser: Browser
  before(async () => {
    const directory = temporaryDirectory()
    const user = async (name: string, more: object) => ({
      name,
      verbs: ['read'],
      password_hash: await hashPassword('secret', new Uint8Array(16)),
      ...more,
    })
    const users = [await user('all', { verbs: ['read', 'write'] }), await user('two', { tenants: ['a', 'b'] })]
    writeFileSync(join(directory, 'credentials.yaml'), JSON.stringify({ users }))
    running = await runTercet(['tenancy=on', `auth.file=${directory}/credentials.yaml`], directory)
    browser = await chromium.launch({
      executablePath: programPath('chromium')!,
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    })
  })
  after(async () => {
    await browser?.close()
    await running?.stop()
  })

  /** A page of the rules, and the tenants that its questions about them name. */
  const open = async (username: string): Promise<{ page: Page; named: (string | undefined)[] }> => {
    const context = await browser.newContext({ httpCredentials: { username, password: 'secret' } })
    const page = await context.newPage()
    const named: (string | undefined)[] = []
    page.on('request', request => {
      if (request.url().includes('/api/v1/rules')) named.push(request.headers()['x-scope-orgid'])
    })
    await page.goto(`${running.url}/ui/rules`)
    return { page, named }
  }

  test('whoever may look at all writes a name, which is kept and sent', async () => {
    const { page, named } = await open('all')
    const field = page.getByLabel('Tenant')
    await field.waitFor()
    await field.fill('shop')
    await field.press('Enter')
    await untilTrue(() => named.at(-1) === 'shop', 'a question with the name')
    await page.goto(`${running.url}/ui/alerts`)
    await page.goto(`${running.url}/ui/rules`)
    assert.equal(await page.getByLabel('Tenant').inputValue(), 'shop')
    await page.context().close()
  })

  test('whoever is bound to some chooses among them; one that was kept of somebody else locks nobody out', async () => {
    const { page, named } = await open('two')
    await page.evaluate("localStorage.setItem('tercet.tenant', JSON.stringify('other'))")
    await page.reload()
    const field = page.getByLabel('Tenant')
    await field.waitFor()
    assert.deepEqual(await field.locator('option').allTextContents(), ['\u2013', 'a', 'b', 'a|b'])
    await field.selectOption('b')
    await untilTrue(() => named.at(-1) === 'b', 'a question with the chosen one')
    await page.context().close()
  })

  test('what each tenant has and does is shown to whoever may read it', async () => {
    for (const tenant of ['a', 'b', 'c'])
      for (const path of ['/api/v1/import/prometheus', '/insert/jsonline?_stream_fields=app']) {
        const body = path.startsWith('/api') ? `up{of="${tenant}"} 1\n` : `{"_msg":"line of ${tenant}","app":"x"}\n`
        const headers = { 'x-scope-orgid': tenant, authorization: `Basic ${btoa('all:secret')}` }
        const reply = await fetch(`${running.url}${path}`, { method: 'POST', headers, body })
        assert.ok(reply.ok, await reply.text())
      }
    const rowsOf = async (username: string): Promise<string[]> => {
      const { page } = await open(username)
      await page.goto(`${running.url}/ui/blocks`)
      const table = page.getByRole('region', { name: 'Tenants' })
      await table.waitFor()
      const rows = await table.locator('tbody tr').allInnerTexts()
      await page.context().close()
      return rows.map(row => row.split(/\s+/).slice(0, 2).join(' ')).sort()
    }
    const expected = (tenants: string[]): string[] =>
      tenants.flatMap(tenant => ['logs', 'metrics'].map(signal => `${tenant} ${signal}`))
    // Who logged in is noted in the tenant of the process itself.
    assert.deepEqual(await rowsOf('all'), [...expected(['a', 'b', 'c']), 'fake logs'])
    assert.deepEqual(await rowsOf('two'), expected(['a', 'b']))
  })
})
