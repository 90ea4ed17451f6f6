/** Faults that are planted into the source are found: a simulation that finds none is no proof of anything. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { plants } from './plants.ts'

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

function simulateWith(plant: string, signal: string): Promise<{ code: number | null; text: string }> {
  const options = ['--signal', signal, '--seed', '1', '--seeds', '200', '--failures', '1', '--no-shrink']
  const child = spawn(process.execPath, ['--import', file('plant.ts'), file('main.ts'), ...options], {
    env: { ...process.env, PLANT: plant },
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
  return new Promise(resolve => {
    child.on('close', code => resolve({ code, text }))
  })
}

for (const [name, { signal }] of Object.entries(plants))
  test(`${name} is found within 200 seeds of ${signal}`, async t => {
    const { code, text } = await simulateWith(name, signal)
    assert.equal(code, 1, text)
    assert.match(text, new RegExp(`^${signal}, seed \\d+, step \\d+: `), text)
    t.diagnostic(text.slice(0, 200))
  })
