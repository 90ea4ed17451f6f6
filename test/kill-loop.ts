/**
 * kill -9 at random moments while data comes in, with a ledger of what was acknowledged. In bucket mode the data
 * directory goes with the process.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import type { TestContext } from 'node:test'
import { below, seededRandom, type Random } from '#core/random.ts'
import { temporaryDirectory } from './run-tercet.ts'
import { startProcess } from './run-process.ts'

export interface KillLoad {
  /** Items that one request brings: numbers first … first + size − 1. */
  size: number
  /** Sends them; true: they were acknowledged. Throws when the process is gone. */
  send(url: string, first: number): Promise<boolean>
  /** Asserts that nothing acknowledged is missing, and that nothing is there twice. */
  check(url: string, acknowledged: ReadonlySet<number>): Promise<void>
}

export interface KillOptions {
  kills: number
  seed: number
  durability: 'local' | 'bucket'
}

/** Senders at once. */
const senders = 3
/** One flush in so many requests, so that blocks are cut and uploaded meanwhile. */
const flushEvery = 40

class Ledger {
  readonly acknowledged = new Set<number>()
  #next = 0

  take(size: number): number {
    const first = this.#next
    this.#next += size
    return first
  }
}

/** Sends until the process is killed, which it is when its time is over. */
async function sendUntilKilled(child: ChildProcess, url: string, load: KillLoad, ledger: Ledger, random: Random) {
  let isKilled = false
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => {
      isKilled = true
      resolve()
    })
  })
  const deadlineMs = performance.now() + 150 + below(random, 600)
  const send = async (): Promise<void> => {
    while (!isKilled) {
      const first = ledger.take(load.size)
      try {
        if (await load.send(url, first)) for (let i = 0; i < load.size; i++) ledger.acknowledged.add(first + i)
      } catch {
        return
      }
      if ((first / load.size) % flushEvery === flushEvery - 1)
        await fetch(`${url}/-/flush`, { method: 'POST' }).catch(() => undefined)
      if (performance.now() > deadlineMs) child.kill('SIGKILL')
    }
  }
  await Promise.all(Array.from({ length: senders }, send))
  child.kill('SIGKILL')
  await ended
}

/** Kills the process `kills` times, starts it once more, and checks. */
export async function killUnderLoad(context: TestContext, load: KillLoad, options: KillOptions): Promise<void> {
  const { kills, seed, durability } = options
  const directory = temporaryDirectory()
  const random = seededRandom(seed)
  const ledger = new Ledger()
  const start = async (): Promise<{ child: ChildProcess; url: string }> => {
    const started = await startProcess(directory, durability)
    // Whatever fails below, no process is left behind.
    context.after(() => {
      started.child.kill('SIGKILL')
    })
    return started
  }
  for (let round = 0; round < kills; round++) {
    const { child, url } = await start()
    await sendUntilKilled(child, url, load, ledger, random)
    if (durability === 'bucket') rmSync(`${directory}/data`, { recursive: true, force: true })
  }
  const { child, url } = await start()
  await load.check(url, ledger.acknowledged)
  child.kill('SIGTERM')
  await new Promise(resolve => child.once('exit', resolve))
  const { size } = ledger.acknowledged
  assert.ok(size > kills * 2 * load.size, `only ${size} were acknowledged`)
  rmSync(directory, { recursive: true, force: true })
}

/** Asserts that every acknowledged number was found, and no number twice. */
export function assertLedger(found: readonly number[], acknowledged: ReadonlySet<number>, what: string): void {
  const there = new Set(found)
  assert.equal(there.size, found.length, `a ${what} is there twice`)
  for (const n of acknowledged) assert.ok(there.has(n), `acknowledged ${what} ${n} is missing`)
}
