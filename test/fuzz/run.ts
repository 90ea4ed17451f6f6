/** Fuzzes one target in a thread of its own, which is ended when an input hangs. */
import { Worker } from 'node:worker_threads'
import type { FuzzResult, FuzzTask } from './worker.ts'

export interface FuzzFinding {
  reason: string
  input: Uint8Array
}

const stateBytes = 8
const inputBytes = 64 * 1024
const heapMib = 512

export interface FuzzOptions {
  seed: number
  inputs: number
  /** An input that takes longer is a finding. */
  hangMs: number
  /** By coverage. V8 crashes with it at times, whatever the input is: the tests do without. */
  isSteered: boolean
}

export async function fuzzTarget(
  target: string,
  { seed, inputs, hangMs, isSteered }: FuzzOptions,
): Promise<{ inputs: number; corpus: number; findings: FuzzFinding[] }> {
  const shared = new SharedArrayBuffer(stateBytes + inputBytes)
  const state = new Int32Array(shared, 0, 2)
  const task: FuzzTask = { target, seed, inputs, isSteered, shared }
  const worker = new Worker(new URL('worker.ts', import.meta.url), {
    workerData: task,
    resourceLimits: { maxOldGenerationSizeMb: heapMib },
  })
  const lastInput = (): Uint8Array => new Uint8Array(shared, stateBytes, Math.min(state[1] ?? 0, inputBytes)).slice()
  const ended = (reason: string): { inputs: number; corpus: number; findings: FuzzFinding[] } => ({
    inputs: state[0] ?? 0,
    corpus: 0,
    findings: [{ reason, input: lastInput() }],
  })
  let seen = -1
  let sinceMs = performance.now()
  let watch: NodeJS.Timeout | undefined
  try {
    return await new Promise((resolve, reject) => {
      watch = setInterval(() => {
        const nowMs = performance.now()
        if (state[0] !== seen) {
          seen = state[0] ?? 0
          sinceMs = nowMs
        } else if (seen > 0 && nowMs - sinceMs > hangMs) resolve(ended(`it takes longer than ${hangMs} ms`))
      }, hangMs / 4)
      worker.once('message', (result: FuzzResult) => {
        resolve(result)
      })
      worker.once('error', (error: Error) => {
        if ((state[0] ?? 0) > 0) resolve(ended(`the thread ended: ${error.message}`))
        else reject(error)
      })
    })
  } finally {
    clearInterval(watch)
    await worker.terminate()
  }
}
