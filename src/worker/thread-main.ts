/** What a worker thread does once its code is there: it answers what comes through its port. */
import { getHeapStatistics } from 'node:v8'
import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '#core/clock.ts'
import { systemFiles } from '#core/files.ts'
import { collectGarbage } from '#core/garbage.ts'
import { makeWorker } from './worker.ts'
import type { LinkMessage, Port } from './link.ts'
import type { WorkerSettings } from './settings.ts'

const messages = parentPort!
/** Messages wait until somebody listens. */
const port: Port = {
  post: (message, transfer) => {
    messages.postMessage(message, [...transfer])
  },
  onMessage: listener => {
    messages.on('message', (message: LinkMessage) => {
      listener(message)
    })
  },
}
/** What the program takes, before it does anything. */
const programBytes = usedBytes()
makeWorker(port, workerData as WorkerSettings, {
  clock: systemClock,
  files: systemFiles,
  heldBytes: () => Math.max(0, usedBytes() - programBytes),
  collectGarbage: () => collectGarbage(),
})

/** JavaScript objects and buffers of this thread. */
function usedBytes(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics()
  return heap + external
}
