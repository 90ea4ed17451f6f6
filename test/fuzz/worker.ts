/**
 * Runs inputs against one target, in a thread that can be ended: what it is doing stands in shared memory, so that an
 * input that hangs, or takes all memory, is known to whoever ends it.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { Fuzzer } from './fuzzer.ts'
import { isDocumented, targets, type FuzzTarget } from './targets.ts'

/** Bytes of an input that are noted. */
export const notedBytesMax = 64 * 1024
export interface FuzzTask {
  target: string
  seed: number
  /** Inputs that are tried; fewer when the time is over first. */
  inputs: number
  isSteered: boolean
  /** Int32: number of the input, its length; then its bytes. */
  shared: SharedArrayBuffer
}
export interface FuzzResult {
  inputs: number
  corpus: number
  findings: { reason: string; input: Uint8Array }[]
}

const findingsMax = 5
/** What an input may leave in memory, beside a fixed allowance. */
const defaultMemoryFactor = 64
const memoryAllowance = 16 * 1024 * 1024

const { target: name, seed, inputs, isSteered, shared } = workerData as FuzzTask
const state = new Int32Array(shared, 0, 2)
const noted = new Uint8Array(shared, 8)
const target = targets[name]
if (target === undefined) throw new Error(`there is no target ${name}`)
const fuzzer = new Fuzzer(target.seeds, seed, isSteered)
const result: FuzzResult = { inputs: 0, corpus: 0, findings: [] }

function problemOf(tried: FuzzTarget, input: Uint8Array): string | undefined {
  const before = process.memoryUsage()
  try {
    tried.run(input)
  } catch (error) {
    if (!isDocumented(tried, error)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  const after = process.memoryUsage()
  const taken = after.heapUsed + after.external - before.heapUsed - before.external
  const { memoryFactor = defaultMemoryFactor } = tried
  return taken > memoryFactor * input.length + memoryAllowance ? `it takes ${taken} bytes of memory` : undefined
}

for (const one of target.seeds) {
  const problem = problemOf(target, one)
  if (problem !== undefined) result.findings.push({ reason: `a seed: ${problem}`, input: one })
}
for (let i = 0; i < inputs && result.findings.length < findingsMax; i++) {
  const input = fuzzer.next()
  state[1] = input.length
  noted.set(input.subarray(0, notedBytesMax))
  Atomics.add(state, 0, 1)
  const problem = problemOf(target, input)
  if (problem !== undefined) result.findings.push({ reason: problem, input: input.slice() })
  fuzzer.ran(input)
  result.inputs++
}
result.corpus = fuzzer.corpusSize
parentPort?.postMessage(result)
