/** The site of the documents: whole, without a server, and to be searched. */
import assert from 'node:assert/strict'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, suite, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import MiniSearch, { type Options } from 'minisearch'
import { chromium } from 'playwright-core'
import { addressOf, buildSite } from '../../tools/build-site.ts'
import { topics } from '../../tools/documents.ts'
import { needs, programPath } from '../peers.ts'
import { pages } from './pages.ts'

const site = mkdtempSync(join(tmpdir(), 'tercet-site-'))
after(() => {
  rmSync(site, { recursive: true, force: true })
})
const built = buildSite(site)
const files = globSync('**/*.html', { cwd: site })
const read = (file: string): string => readFileSync(join(site, file), 'utf8')

test('every document is a page, and every topic names one', () => {
  assert.equal(files.length, built)
  for (const page of pages) assert.ok(files.includes(addressOf(page)), page)
  const named = topics.flatMap(topic => topic.pages)
  assert.deepEqual(
    named.filter(page => !files.includes(addressOf(page))),
    [],
  )
})

function idsOf(file: string): Set<string> {
  return new Set([...read(file).matchAll(/ id="([^"]+)"/g)].map(([, id]) => id!))
}

test('every link leads to a page and to a heading of it', t => {
  const problems: string[] = []
  let count = 0
  for (const file of files)
    for (const [, target = ''] of read(file).matchAll(/<a [^>]*?href="([^"]+)"/g)) {
      if (/^(https?|mailto):/.test(target)) continue
      count++
      const [path = '', anchor = ''] = target.split('#')
      const to = path === '' ? file : join(dirname(file), path)
      if (!existsSync(join(site, to))) problems.push(`${file}: ${target}`)
      else if (anchor !== '' && !idsOf(to).has(decodeURIComponent(anchor))) problems.push(`${file}: ${target}`)
    }
  t.diagnostic(`${count} links of ${files.length} pages`)
  assert.deepEqual(problems, [])
})

test('nothing is loaded from elsewhere, and what is loaded is there', () => {
  for (const file of files)
    for (const [, target = ''] of read(file).matchAll(/(?:<link [^>]*?href|src)="([^"]+)"/g)) {
      if (target === 'data:,') continue
      assert.doesNotMatch(target, /^(\w+:|\/)/, file)
      assert.ok(existsSync(join(site, dirname(file), target)), `${file}: ${target}`)
    }
  assert.doesNotMatch(read('style.css'), /url\(|@import/)
  assert.doesNotMatch(read('search.js'), /https?:|fetch\(/)
})

interface Loaded {
  tercetSearch: { index: object; options: Options }
}

test('the search finds words, and its answers lead to headings', () => {
  const window = {} as Loaded
  runInNewContext(read('search-index.js'), { window })
  const { index, options } = JSON.parse(JSON.stringify(window.tercetSearch)) as Loaded['tercetSearch']
  const search = MiniSearch.loadJSON(JSON.stringify(index), options)
  for (const words of ['remote write', 'limits.active_series', 'too old sample', 'sealed secrets', 'advance']) {
    const found = search.search(words, { prefix: true, combineWith: 'AND' })
    assert.ok(found.length > 0, words)
    for (const { id } of found) {
      const [file = '', anchor = ''] = String(id).split('#')
      assert.ok(idsOf(file).has(anchor), `${words}: ${id}`)
    }
  }
})

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

interface Axe {
  run(options: { preload: boolean }): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>
}

suite('in a browser, from the disk, without a network', { skip: needs('chromium').skip }, () => {
  for (const colorScheme of ['light', 'dark'] as const)
    test(colorScheme, async () => {
      const browser = await chromium.launch({ executablePath: programPath('chromium')!, args: ['--no-sandbox'] })
      try {
        const context = await browser.newContext({ colorScheme, offline: true })
        const page = await context.newPage()
        const errors: string[] = []
        page.on('pageerror', error => errors.push(error.message))
        page.on('requestfailed', request => errors.push(request.url()))
        for (const file of ['index.html', 'start/tests.html']) {
          await page.goto(pathToFileURL(join(site, file)).href)
          await page.evaluate(axeSource)
          // Without `preload` it asks for no style sheet again.
          const { violations } = await page.evaluate(() =>
            (globalThis as unknown as { axe: Axe }).axe.run({ preload: false }),
          )
          assert.deepEqual(
            violations.map(({ id, nodes }) => `${file}: ${id}: ${nodes[0]?.html}`),
            [],
          )
        }
        await page.goto(pathToFileURL(join(site, 'start/tests.html')).href)
        await page.getByRole('searchbox').fill('remote write')
        const first = page.locator('#found a').first()
        await first.click()
        await page.waitForURL(/#/)
        assert.deepEqual(errors, [])
        const plain = await (await browser.newContext({ javaScriptEnabled: false, offline: true })).newPage()
        await plain.goto(pathToFileURL(join(site, 'index.html')).href)
        assert.equal(await plain.locator('#search').isVisible(), false)
        await plain.getByRole('navigation').getByRole('link', { name: 'Tests about telemetry' }).click()
        assert.equal(await plain.locator('h1').textContent(), 'Tests about telemetry')
      } finally {
        await browser.close()
      }
    })
})
