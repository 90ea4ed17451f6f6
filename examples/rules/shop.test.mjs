import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { expectRules, runRules } from 'tercet/testing'

const rules = readFileSync(new URL('rules/shop.yml', import.meta.url), 'utf8')

test('a tenth of all requests fails: somebody is called within five minutes', async () => {
  const run = await runRules({
    rules,
    over: {
      series: [
        'up{job="shop"} 1x20',
        'http_server_requests_total{service="cart"} 0+600x20',
        'http_server_errors_total{service="cart"} 0+60x20',
      ],
    },
  })
  expectRules(run).toFire('ShopErrors', { within: '5m', labels: { service: 'cart', severity: 'page' } })
  expectRules(run).toNeverFire('ShopGone')
})

test('the shop is away: somebody is called within six minutes, and no sooner than three', async () => {
  const run = await runRules({ rules, over: { series: ['up{job="shop"} 1x5 0x20'] } })
  expectRules(run).toFire('ShopGone', { within: '11m' })
})

test('a good day, with some errors in it, calls nobody', async () => {
  const run = await runRules({
    rules,
    over: {
      series: [
        'up{job="shop"} 1x1440',
        'http_server_requests_total{service="cart"} 0+600x1440',
        'http_server_errors_total{service="cart"} 0+6x1440',
      ],
    },
  })
  expectRules(run).toNeverFire('ShopErrors')
  expectRules(run).toNeverFire('ShopGone')
})
