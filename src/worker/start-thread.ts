/** Starts a worker as a thread of this process. */
import { Worker } from 'node:worker_threads'
import type { LinkMessage } from './link.ts'
import type { ThreadHandle } from './pool.ts'
import type { WorkerSettings } from './settings.ts'

/**
 * V8 may take so many times what a worker is allowed: the worker looks at its memory by itself, and one allocation that
 * passes V8's own limit would end the process.
 */
const headRoom = 3
const stackMebibytes = 4
const youngMebibytes = 32

export function startThread(settings: WorkerSettings): ThreadHandle {
  // The program may have been built (tools/build-program.ts).
  const file = import.meta.url.endsWith('.ts') ? 'thread.ts' : 'thread.js'
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: settings,
    resourceLimits: {
      maxOldGenerationSizeMb: Math.ceil((settings.memoryBytesMax * headRoom) / 1048576),
      maxYoungGenerationSizeMb: youngMebibytes,
      stackSizeMb: stackMebibytes,
    },
  })
  // A process that has nothing else to do ends.
  worker.unref()
  return {
    port: {
      post: (message, transfer) => {
        worker.postMessage(message, [...transfer])
      },
      onMessage: listener => {
        worker.on('message', (message: LinkMessage) => {
          listener(message)
        })
      },
    },
    onEnd: listener => {
      let failure: Error | undefined
      worker.on('error', error => {
        failure = error as Error
      })
      worker.on('exit', () => {
        const isMemory = failure !== undefined && 'code' in failure && failure.code === 'ERR_WORKER_OUT_OF_MEMORY'
        if (isMemory) listener({ reason: 'memory', message: 'it used more memory than it may' })
        else if (failure !== undefined) listener({ reason: 'failure', message: failure.stack ?? failure.message })
        else listener({ reason: 'exit', message: 'it was ended' })
      })
    },
    kill: () => {
      void worker.terminate()
    },
  }
}
