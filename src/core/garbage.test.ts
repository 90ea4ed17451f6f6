/** When V8 collects garbage: seen from a process of its own each, since its flags are for all of a process. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

/** How often a process collects all garbage while it makes 2 GiB of buffers that nobody keeps. */
function collections(before: string): number {
  const program = `
    import { PerformanceObserver } from 'node:perf_hooks'
    import { countBuffersAsHeap } from './src/core/garbage.ts'
    ${before}
    let count = 0
    const observer = new PerformanceObserver(list => {
      for (const { detail } of list.getEntries()) if (detail.kind === 4) count++
    })
    observer.observe({ entryTypes: ['gc'] })
    const kept = Array.from({ length: 200_000 }, (_, i) => ({ i }))
    for (let i = 0; i < 8192; i++) {
      new Uint8Array(262_144)
      if (i % 64 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    await new Promise(resolve => setImmediate(resolve))
    console.log(count + 0 * kept.length)`
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  assert.equal(stderr, '')
  return Number(stdout)
}

test(
  'buffers that count as the heap does are collected less often',
  { skip: !process.version.startsWith('v26') },
  () => {
    const usual = collections('')
    const less = collections('countBuffersAsHeap()')
    assert.ok(usual > 4 && less < usual / 1.5, `${less} times, ${usual} otherwise`)
  },
)
