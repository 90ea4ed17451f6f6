/**
 * The web interface in a browser: bytes of the first load, first paint, and frames a second while a trace of 10,000
 * spans is scrolled and a graph of 100,000 points is moved over.
 *
 *   node bench/ui.ts            needs chromium, and ui/dist (npm run build:ui)
 */
import { chromium } from 'playwright-core'
import { programPath } from '../test/peers.ts'
import { runTercet } from '../test/run-tercet.ts'
import { postWrite, writeBody } from '../test/write-request.ts'

const running = await runTercet([])
const now = Math.floor(Date.now() / 1000)
const traceId = 'b'.repeat(32)
const hex = (n: number): string => n.toString(16).padStart(16, '0')
const start = BigInt(now - 120) * 1_000_000_000n
for (let from = 0; from < 10_000; from += 2500)
  await fetch(`${running.url}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      resourceSpans: [
        {
          resource: { attributes: [{ key: 'service.name', value: { stringValue: 'big' } }] },
          scopeSpans: [
            {
              spans: Array.from({ length: 2500 }, (_, k) => {
                const i = from + k + 1
                const at = start + BigInt(i) * 10_000n
                return {
                  traceId,
                  spanId: hex(i),
                  ...(i === 1 ? {} : { parentSpanId: hex(Math.floor(i / 3) + (i < 3 ? 1 : 0)) }),
                  name: `step ${i}`,
                  startTimeUnixNano: String(at),
                  endTimeUnixNano: String(at + 5_000_000n),
                }
              }),
            },
          ],
        },
      ],
    }),
  })
await postWrite(
  running.url,
  writeBody(
    Array.from({ length: 500 }, (_, i) => ({
      labels: [
        ['__name__', 'many'],
        ['i', String(i)],
      ] as [string, string][],
      samples: Array.from({ length: 200 }, (_point, k): [number, number] => [
        (now - (199 - k) * 15) * 1000,
        Math.sin(k / 20 + i / 10) * 10 + i,
      ]),
    })),
  ),
)
const browser = await chromium.launch({
  executablePath: programPath('chromium')!,
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
})
const page = await browser.newPage({ viewport: { width: 1280, height: 860 } })
let bytes = 0
page.on('response', reply => {
  bytes += Number(reply.headers()['content-length'] ?? 0)
})
await page.goto(running.url, { waitUntil: 'networkidle' })
const paint = (await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")) as number
console.log(`first load: ${(bytes / 1000).toFixed(0)} kB on the wire, first paint after ${paint.toFixed(0)} ms`)

/** Frames while `act` runs for two seconds, in the page. */
const frames = (act: string): Promise<number> =>
  page.evaluate(
    'new Promise(resolve => { let count = 0; const begun = performance.now(); ' +
      `const step = () => { count++; ${act}; ` +
      'if (performance.now() - begun < 2000) requestAnimationFrame(step); ' +
      'else resolve(count / ((performance.now() - begun) / 1000)) }; requestAnimationFrame(step) })',
  )
await page.goto(`${running.url}/ui/trace/${traceId}`, { waitUntil: 'networkidle' })
const scroll = "const box = document.querySelector('.waterfall'); box.scrollTop = (count * 300) % box.scrollHeight"
console.log(`10,000 spans, scrolling: ${(await frames(scroll)).toFixed(0)} frames a second`)
await page.goto(`${running.url}/ui/metrics?q=many&step=15&range=50m`, { waitUntil: 'networkidle' })
const point = `
  const over = document.querySelector('.u-over'), b = over.getBoundingClientRect()
  const clientX = b.left + (count * 7) % b.width
  over.dispatchEvent(new MouseEvent('mousemove', { clientX, clientY: b.top + b.height / 2, bubbles: true }))`
console.log(`500 series of 200 points, under the pointer: ${(await frames(point)).toFixed(0)} frames a second`)
await browser.close()
await running.stop()
