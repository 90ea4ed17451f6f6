/** The program of a worker thread. */
import { enableCompileCache } from 'node:module'
import { workerData } from 'node:worker_threads'
import type { WorkerSettings } from './settings.ts'

// A thread has no part in the cache of the process unless it says so; with it the thread is there five times as fast.
const { compileCacheDirectory } = workerData as WorkerSettings
if (compileCacheDirectory !== undefined) enableCompileCache(compileCacheDirectory)
await import('./thread-main.ts')
